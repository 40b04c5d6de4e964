import { metric, type TestPusher } from "../support/cluster.ts";
import { connectSocket, HANDSHAKE, type RawSocket } from "../support/raw-socket.ts";
import { until } from "../support/wait.ts";

/** Sockets that are opened at the same time, below the length of a listen queue. */
const AT_ONCE = 200;

/** Returns the text of a WebSocket handshake. */
export function upgradeRequest(target: string, ...headers: string[]): string {
  const [, ...rest] = HANDSHAKE;
  return [`GET ${target} HTTP/1.1`, ...rest, ...headers, "", ""].join("\r\n");
}

/** Opens TCP connections. `count` is a multiple of 200. */
export async function openSockets({ url }: TestPusher, count: number): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < count) {
    sockets.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => connectSocket(url)))));
  }
  return sockets;
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
