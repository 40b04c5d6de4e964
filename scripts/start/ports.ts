import { type AddressInfo, connect, createServer } from "node:net";

/**
 * Whether a process listens on the port. Connects instead of binding: the workers of a pusher share their port, so that
 * a second pusher could bind it without an error and receive half of the connections.
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

/** Returns a port on loopback that is free at this moment. */
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
