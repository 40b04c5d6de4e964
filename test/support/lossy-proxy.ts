import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";

export type LossyProxy = AsyncDisposable & {
  readonly url: string;
  /** Messages from NATS for which this is true are swallowed. */
  drop: (subject: string) => boolean;
  readonly dropped: number;
  /** Cuts all connections and refuses new ones until {@link heal}. */
  cut(): void;
  heal(): void;
};

/** Stands between a worker and its nats-server and loses what it is told to. */
export async function startLossyProxy(natsPort: number): Promise<LossyProxy> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let drop: LossyProxy["drop"] = () => false;
  let dropped = 0;

  const server: Server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect({ host: "127.0.0.1", port: natsPort });
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
    const filter = messageFilter((subject) => {
      if (!drop(subject)) return false;
      dropped++;
      return true;
    });
    upstream.on("data", (chunk) => {
      for (const bytes of filter(chunk)) client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a server that listens on TCP has an AddressInfo
  return {
    url: `nats://127.0.0.1:${port}`,
    get drop() {
      return drop;
    },
    set drop(predicate) {
      drop = predicate;
    },
    get dropped() {
      return dropped;
    },
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    heal: () => {
      isCut = false;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Splits the stream of a nats-server into its operations and leaves out messages to be dropped. */
function messageFilter(isDropped: (subject: string) => boolean): (chunk: Buffer) => Buffer[] {
  let pending = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    const passed: Buffer[] = [];
    for (;;) {
      const lineEnd = pending.indexOf("\r\n");
      if (lineEnd < 0) return passed;
      const [operation, subject = "", ...rest] = pending.toString("latin1", 0, lineEnd).split(" ");
      const isMessage = operation === "MSG" || operation === "HMSG";
      const end = lineEnd + 2 + (isMessage ? Number(rest.at(-1)) + 2 : 0);
      if (pending.length < end) return passed;
      if (!isMessage || !isDropped(subject)) passed.push(pending.subarray(0, end));
      pending = pending.subarray(end);
    }
  };
}
