import { metric, type TestPusher } from "../support/cluster.ts";
import { AT_ONCE } from "../support/crowd.ts";
import { inBatches } from "../support/in-batches.ts";
import { connectSocket, HANDSHAKE, type RawSocket } from "../support/raw-socket.ts";
import { until } from "../support/wait.ts";

/** Returns the text of a WebSocket handshake. */
export function upgradeRequest(target: string, ...headers: string[]): string {
  const [, ...rest] = HANDSHAKE;
  return [`GET ${target} HTTP/1.1`, ...rest, ...headers, "", ""].join("\r\n");
}

/** Opens TCP connections. */
export function openSockets({ url }: TestPusher, count: number): Promise<RawSocket[]> {
  return inBatches(count, AT_ONCE, () => connectSocket(url));
}

export function untilConnected({ adminUrl }: TestPusher, count: number): Promise<unknown> {
  return until(`${count} connections are open`, async () => {
    return (await metric(adminUrl, "fanwire_pusher_connections")) === count;
  });
}

/** Stops the pusher and writes to all sockets, so that the worker finds everything in one tick after a SIGCONT. */
export async function writeToStopped(
  pusher: TestPusher,
  sockets: readonly RawSocket[],
  bytesFor: (at: number) => string | Buffer,
): Promise<void> {
  pusher.process.kill("SIGSTOP");
  for (const [at, { socket }] of sockets.entries()) socket.write(bytesFor(at));
  await until("everything is written", () => sockets.every(({ socket }) => socket.writableLength === 0));
}
