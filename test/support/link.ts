import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/**
 * How a link treats bytes, in both directions. `stall`: nothing passes, and nothing is lost. `slow`: each piece is
 * delayed. `trickle`: the first bytes of each piece are sent one by one. `cut`: connections are reset, new ones too.
 */
export type LinkMode = "pass" | "stall" | "slow" | "trickle" | "cut";

/** Whether a message from NATS is dropped. `message` includes its protocol line and headers. */
type DropRule = (subject: string, message: Buffer) => boolean;

/** A TCP proxy on loopback that injects faults. */
export type Link = Awaited<ReturnType<typeof startLink>>;

const SLOW_MS = 150;
const TRICKLED_BYTES = 16;

/** Starts a link to a server on this machine. Only a link with `readsNats` can drop messages. */
export async function startLink(targetPort: number, { readsNats = false } = {}) {
  let mode: LinkMode = "pass";
  let drop: DropRule = () => false;
  let dropped = 0;
  const waiting = new Set<() => void>();
  const sockets = new Set<Socket>();

  const isDropped: DropRule = (subject, message) => {
    if (!drop(subject, message)) return false;
    dropped++;
    return true;
  };
  const pump = async (from: Socket, to: Socket, filter = (chunk: Buffer) => [chunk]): Promise<void> => {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      while (mode === "stall") await new Promise<void>((resolve) => waiting.add(resolve));
      if (mode === "slow") await delay(SLOW_MS);
      for (const piece of filter(chunk))
        for (const part of mode === "trickle" ? trickle(piece) : [piece]) to.write(part);
    }
    to.end();
  };
  const server = createServer((client) => {
    if (mode === "cut") return void client.resetAndDestroy();
    const upstream = connect({ host: "127.0.0.1", port: targetPort });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    // A pump fails when a socket is destroyed. The other side notices by itself.
    pump(client, upstream).catch(() => {});
    pump(upstream, client, readsNats ? messageFilter(isDropped) : undefined).catch(() => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const set = (next: LinkMode) => {
    mode = next;
    if (mode === "cut") for (const socket of sockets) socket.resetAndDestroy();
    for (const resume of waiting) resume();
    waiting.clear();
  };
  const { port } = server.address() as AddressInfo; // a server that listens on TCP has an AddressInfo
  return {
    port,
    /** For clients of NATS. */
    url: `nats://127.0.0.1:${port}`,
    /** Messages dropped so far. */
    get dropped() {
      return dropped;
    },
    /** Needs `readsNats`. */
    get drop() {
      return drop;
    },
    set drop(rule) {
      drop = rule;
    },
    set,
    cut: () => set("cut"),
    heal: () => set("pass"),
    [Symbol.asyncDispose]: async () => {
      set("cut");
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Splits the stream of a nats-server into its operations and omits messages to be dropped. */
function messageFilter(isDropped: DropRule): (chunk: Buffer) => Buffer[] {
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

function trickle(piece: Buffer): Buffer[] {
  const singles = Array.from(piece.subarray(0, TRICKLED_BYTES), (byte) => Buffer.of(byte));
  return [...singles, piece.subarray(TRICKLED_BYTES)];
}
