import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export type TcpProxy = AsyncDisposable & {
  readonly port: number;
  /** Cuts all connections and refuses new ones until {@link heal}. */
  cut(): void;
  heal(): void;
};

/** What passes of what the server says on one connection. */
export type Filter = (chunk: Buffer) => Buffer[];

/** Stands between clients and a server on this machine. `newFilter` is called for each connection. */
export async function startTcpProxy(serverPort: number, newFilter?: () => Filter): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let isCut = false;

  const server: Server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect({ host: "127.0.0.1", port: serverPort });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    const filter = newFilter?.() ?? ((chunk) => [chunk]);
    upstream.on("data", (chunk) => {
      for (const bytes of filter(chunk)) client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a server that listens on TCP has an AddressInfo
  const destroyAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    cut: () => {
      isCut = true;
      destroyAll();
    },
    heal: () => {
      isCut = false;
    },
    [Symbol.asyncDispose]: async () => {
      destroyAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
