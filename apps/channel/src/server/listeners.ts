import { rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import type { Log } from "@fanwire/service";

type ListenAddresses = {
  /** `undefined` without TCP. */
  readonly tcp: { readonly host: string; readonly port: number } | undefined;
  readonly socketPath: string | undefined;
};

export type Listeners = {
  /** `undefined` without TCP. */
  readonly port: number | undefined;
  /** Stops accepting connections. Open connections stay. */
  stop(): void;
};

/** Idle time of a TCP connection before the kernel sends keep-alive probes. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Listens on TCP, on a Unix socket, or on both.
 *
 * @throws when an address cannot be bound.
 */
export async function startListeners(
  { tcp, socketPath }: ListenAddresses,
  log: Log,
  onSocket: (socket: Socket, isUnix: boolean) => void,
): Promise<Listeners> {
  const servers: Server[] = [];
  const listen = async (options: ListenOptions) => {
    const isUnix = options.path !== undefined;
    // With half-open sockets we destroy a socket that the peer has ended. Node would take several steps for each one.
    const tcpOptions = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    const server = createServer(tcpOptions, (socket) => onSocket(socket, isUnix));
    await bind(server, options);
    servers.push(server);
    // After the bind only accepting one connection can fail, for example without a free file descriptor.
    server.on("error", (error) => log.error({ err: error }, "connection not accepted"));
    return server;
  };
  const stop = () => {
    for (const server of servers) server.close();
  };

  try {
    let port: number | undefined;
    if (tcp !== undefined) {
      const server = await listen({ host: tcp.host, port: tcp.port });
      port = (server.address() as AddressInfo).port; // a server that listens on TCP has an AddressInfo
    }
    if (socketPath !== undefined) {
      await removeStale(socketPath);
      await listen({ path: socketPath });
    }
    return { port, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

function bind(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Removes the socket file that a killed process has left. A socket that accepts a connection is in use and stays. */
async function removeStale(path: string): Promise<void> {
  const code = await new Promise<string>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve("");
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
  });
  // ECONNREFUSED means a socket file without a listener. Any other file causes another error and stays.
  if (code === "ECONNREFUSED") await rm(path, { force: true });
}
