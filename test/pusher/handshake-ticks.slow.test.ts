import { expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { clientFrame, connectSocket, HANDSHAKE, type RawSocket } from "../support/raw-socket.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** More than a listen queue holds. */
const CLIENTS = 800;
/** One client of this number closes right after its request. */
const CLOSING_ONE_IN = 10;
/** Connections at the same time, below the length of a listen queue. */
const AT_ONCE = 200;
const MISSED = 50;
const TEXT = 1;

const { history, pusher } = useCluster({
  pusher: {
    PUSHER_WORKERS: "1",
    PUSHER_TOKEN_SECRET: SECRET,
    PUSHER_HANDSHAKES_PER_SECOND: "0",
    ...tickMonitor,
  },
});

async function connectAll(): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < CLIENTS) {
    sockets.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => connectSocket(pusher.url)))));
  }
  return sockets;
}

/** Returns requests that resume with a token. */
async function requestsSince(since: string): Promise<string[]> {
  const tokens = Array.from({ length: CLIENTS }, (_, at) => signToken({ sub: `user-${at}`, topics: ["busy"] }));
  const [, ...headers] = HANDSHAKE;
  return (await Promise.all(tokens)).map((token) => {
    const target = `/?topic=busy&since=${since}&token=${token}`;
    return [`GET ${target} HTTP/1.1`, ...headers, "Sec-WebSocket-Protocol: fanwire.v1", "", ""].join("\r\n");
  });
}

test("eight hundred handshakes that the worker reads in one tick take ticks below 50 ms of work", async () => {
  const since = await history.append(topic("busy"), "before");
  for (let count = 0; count < MISSED; count++) await history.append(topic("busy"), `missed ${count}`);
  const requests = await requestsSince(since);
  const connections = () => metric(pusher.adminUrl, "fanwire_pusher_connections");
  // Before its code is compiled, the worker takes several times as long.
  const first = await connectAll();
  for (const [at, { socket }] of first.entries()) socket.write(requests[at] ?? "");
  await until("all first clients are connected", async () => (await connections()) === CLIENTS);
  for (const { socket } of first) socket.destroy();
  await until("all first clients are closed", async () => (await connections()) === 0);
  await expectShortTicks(`${CLIENTS} handshakes`, async () => {
    const sockets = await connectAll();
    const staying = sockets.filter((_, at) => at % CLOSING_ONE_IN !== 0);
    // The command does not wait for the welcome.
    const ping = clientFrame(TEXT, Buffer.from(JSON.stringify({ id: "early", command: "ping" })));
    for (const { socket } of sockets) socket.once("data", () => socket.write(ping));
    await longestTickMs(pusher);

    // The worker finds all requests when it continues.
    pusher.process.kill("SIGSTOP");
    for (const [at, { socket }] of sockets.entries()) socket.write(requests[at] ?? "");
    await until("all requests are written", () => sockets.every(({ socket }) => socket.writableLength === 0));
    for (const { socket } of sockets.filter((each) => !staying.includes(each))) socket.destroy();
    pusher.process.kill("SIGCONT");
    const last = `missed ${MISSED - 1}`;
    const isServed = ({ received }: RawSocket) => received().includes('"id":"early"') && received().includes(last);
    await until("all clients have their reply and what they missed", () => staying.every(isServed), 60_000);

    const longestMs = await longestTickMs(pusher);
    for (const { received } of staying) {
      const text = received().toString();
      const [welcome, missed, reply] = ['"type":"welcome"', last, '"id":"early"'].map((part) => text.indexOf(part));
      expect(welcome).toBeGreaterThan(0);
      expect(missed).toBeGreaterThan(welcome ?? 0);
      expect(reply).toBeGreaterThan(welcome ?? 0);
      expect(text).toContain('"recovered":true');
    }
    await until("closed clients are forgotten", async () => (await connections()) === staying.length);
    for (const { socket } of staying) socket.destroy();
    await until("no connection is left", async () => (await connections()) === 0);
    return longestMs;
  });
});
