import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/**
 * What a link does with bytes, in both directions. `stall`: nothing passes, and nothing is lost. `slow`: what is under way
 * takes a while. `trickle`: the first of each piece come one by one. `cut`: connections are reset, new ones too.
 */
export type LinkMode = "pass" | "stall" | "slow" | "trickle" | "cut";

export type FaultyLink = AsyncDisposable & {
  readonly port: number;
  set(mode: LinkMode): void;
};

const SLOW_MS = 150;
const SINGLE_BYTES = 16;

/** A TCP proxy on loopback that treats its connections as it is told to. */
export async function startFaultyLink(targetPort: number): Promise<FaultyLink> {
  let mode: LinkMode = "pass";
  const wakers = new Set<() => void>();
  const pairs = new Set<readonly Socket[]>();

  const pump = async (from: Socket, to: Socket): Promise<void> => {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      while (mode === "stall") await new Promise<void>((resolve) => wakers.add(resolve));
      if (mode === "slow") await delay(SLOW_MS);
      for (const piece of mode === "trickle" ? piecesOf(chunk) : [chunk]) to.write(piece);
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
    for (const [from, to] of [[one, other] as const, [other, one] as const]) pump(from, to).catch(() => {});
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
