import { type AddressInfo, connect, createServer } from "node:net";

/**
 * Whether somebody listens there. Asked by connecting, not by binding: the pusher's workers share their port, so that
 * a second pusher would bind it without an error and take half of the connections.
 */
export function isPortTaken(port: number, host = "127.0.0.1"): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 2_000 });
    const answer = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
    socket.once("timeout", () => answer(false));
  });
}

/** A port on loopback that nobody uses at this moment. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo; // a server that listens on TCP has an AddressInfo
      server.close(() => resolve(port));
    });
  });
}
