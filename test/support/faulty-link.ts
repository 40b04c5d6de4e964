import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { messageFilter } from "./lossy-proxy.ts";
import type { Filter } from "./tcp-proxy.ts";

/**
 * What a link does with bytes, in both directions. `stall`: nothing passes, and nothing is lost. `slow`: what is under way
 * takes a while. `trickle`: the first of each piece come one by one. `cut`: connections are reset, new ones too.
 * `lose`: some messages from NATS are swallowed that the history republishes, and some of its entries.
 */
export type LinkMode = "pass" | "stall" | "slow" | "trickle" | "cut" | "lose";

export type FaultyLink = AsyncDisposable & {
  readonly port: number;
  set(mode: LinkMode): void;
};

const SLOW_MS = 150;
const SINGLE_BYTES = 16;
/** One in so many republished messages, and one in so many entries of the history. */
const LOST_CONTENT_OF = 5;
const LOST_ENTRY_OF = 50;

/** A TCP proxy on loopback that treats its connections as it is told to; `lose` needs one that reads what NATS says. */
export async function startFaultyLink(targetPort: number, isLossy = false): Promise<FaultyLink> {
  let mode: LinkMode = "pass";
  const wakers = new Set<() => void>();
  const pairs = new Set<readonly Socket[]>();

  const isLost = (subject: string, message: Buffer) => {
    if (mode !== "lose") return false;
    if (message.includes("$JS.ACK.FANWIRE_HISTORY.")) return Math.random() * LOST_ENTRY_OF < 1;
    const isRepublished = subject.startsWith("fanwire.live.") && message.includes("Nats-Stream: FANWIRE_HISTORY\r\n");
    return isRepublished && Math.random() * LOST_CONTENT_OF < 1;
  };
  const pump = async (from: Socket, to: Socket, filter?: Filter): Promise<void> => {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      while (mode === "stall") await new Promise<void>((resolve) => wakers.add(resolve));
      if (mode === "slow") await delay(SLOW_MS);
      for (const piece of filter?.(chunk) ?? [chunk]) {
        for (const part of mode === "trickle" ? piecesOf(piece) : [piece]) to.write(part);
      }
    }
    to.end();
  };
  const server = createServer((client) => {
    if (mode === "cut") {
      client.resetAndDestroy();
      return;
    }
    const pair = [client, connect({ host: "127.0.0.1", port: targetPort })] as const;
    pairs.add(pair);
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        pairs.delete(pair);
        for (const each of pair) each.destroy();
      });
    }
    const [one, other] = pair;
    // Ends with the sockets; who is on the other side notices by itself.
    pump(one, other).catch(() => {});
    pump(other, one, isLossy ? messageFilter(isLost) : undefined).catch(() => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const reset = () => {
    for (const socket of [...pairs].flat()) socket.resetAndDestroy();
  };
  const set = (next: LinkMode) => {
    mode = next;
    if (mode === "cut") reset();
    for (const wake of wakers) wake();
    wakers.clear();
  };
  const { port } = server.address() as AddressInfo; // a server that listens on TCP has an AddressInfo
  return {
    port,
    set,
    [Symbol.asyncDispose]: async () => {
      set("cut");
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function piecesOf(chunk: Buffer): Buffer[] {
  const singles = Array.from(chunk.subarray(0, SINGLE_BYTES), (byte) => Buffer.of(byte));
  return [...singles, chunk.subarray(SINGLE_BYTES)];
}
