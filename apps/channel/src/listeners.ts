import { rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import type { Log } from "@fanwire/service";
import type { ChannelConfig } from "./config.ts";

export type Listeners = {
  /** `undefined`: no TCP. */
  readonly port: number | undefined;
  /** Stops accepting; open connections stay. */
  stop(): void;
};

/** How long a TCP connection may be silent before the kernel asks whether anybody is there. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Listens on TCP, on a Unix socket, or on both.
 *
 * @throws when an address cannot be bound.
 */
export async function startListeners(
  { tcp, socketPath }: Pick<ChannelConfig, "tcp" | "socketPath">,
  log: Log,
  onSocket: (socket: Socket, isUnix: boolean) => void,
): Promise<Listeners> {
  const servers: Server[] = [];
  const listen = async (options: ListenOptions) => {
    const isUnix = options.path !== undefined;
    const tcpOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    const server = createServer(tcpOptions, (socket) => onSocket(socket, isUnix));
    await bind(server, options);
    servers.push(server);
    // After that only accepting can fail, for one connection: out of open files, for example.
    server.on("error", (error) => log.error({ err: error }, "a connection could not be accepted"));
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

/** A process that was killed leaves its socket file, on which nobody else can listen. One that answers is somebody's. */
async function removeStale(path: string): Promise<void> {
  const code = await new Promise<string>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve("");
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
  });
  // Refused: a socket without a listener. Any other file answers with another error, and stays.
  if (code === "ECONNREFUSED") await rm(path, { force: true });
}
