import { type Filter, startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

export type LossyProxy = TcpProxy & {
  readonly url: string;
  /** Messages from NATS for which this is true are swallowed. */
  drop: (subject: string) => boolean;
  readonly dropped: number;
};

/** Stands between a worker and its nats-server and loses what it is told to. */
export async function startLossyProxy(natsPort: number): Promise<LossyProxy> {
  let drop: LossyProxy["drop"] = () => false;
  let dropped = 0;
  const proxy = await startTcpProxy(natsPort, () =>
    messageFilter((subject) => {
      if (!drop(subject)) return false;
      dropped++;
      return true;
    }),
  );
  return {
    ...proxy,
    url: `nats://127.0.0.1:${proxy.port}`,
    get drop() {
      return drop;
    },
    set drop(predicate) {
      drop = predicate;
    },
    get dropped() {
      return dropped;
    },
  };
}

/** Splits the stream of a nats-server into its operations and leaves out messages to be dropped. */
export function messageFilter(isDropped: (subject: string, message: Buffer) => boolean): Filter {
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
      if (!isMessage || !isDropped(subject, pending.subarray(0, end))) passed.push(pending.subarray(0, end));
      pending = pending.subarray(end);
    }
  };
}
