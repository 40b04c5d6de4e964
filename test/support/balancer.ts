import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export type Balancer = AsyncDisposable & { readonly port: number };

/**
 * Spreads TCP connections over the ports that `targets` returns, as a service of Kubernetes does. Skips ports that
 * refuse connections.
 */
export async function startBalancer(targets: () => readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  };
  let accepted = 0;

  const server = createServer((client) => {
    keep(client);
    accepted++;
    const ports = targets().map((_, at, all) => all[(accepted + at) % all.length]);
    const tryNext = () => {
      const port = ports.shift();
      if (port === undefined) return void client.destroy();
      const upstream = connect({ host: "127.0.0.1", port });
      keep(upstream);
      upstream.once("error", tryNext);
      upstream.once("connect", () => {
        upstream.off("error", tryNext);
        client.pipe(upstream).pipe(client);
        client.once("close", () => upstream.destroy());
        upstream.once("close", () => client.destroy());
      });
    };
    tryNext();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a server that listens on TCP has an AddressInfo
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
