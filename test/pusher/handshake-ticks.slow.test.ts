import { expect, test } from "vitest";
import { topic } from "../support/durable.ts";
import { clientFrame, type RawSocket } from "../support/raw-socket.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { openSockets, untilConnected, upgradeRequest, writeToStopped } from "./sockets-at-once.ts";

/** More than a listen queue holds. */
const CLIENTS = 800;
/** One client of this number closes right after its request. */
const CLOSING_ONE_IN = 10;
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

/** Returns requests that resume with a token. */
async function requestsSince(since: string): Promise<string[]> {
  const tokens = Array.from({ length: CLIENTS }, (_, at) => signToken({ sub: `user-${at}`, topics: ["busy"] }));
  return (await Promise.all(tokens)).map((token) =>
    upgradeRequest(`/?topic=busy&since=${since}&token=${token}`, "Sec-WebSocket-Protocol: fanwire.v1"),
  );
}

test("eight hundred handshakes that the worker reads in one tick take ticks below 50 ms of work", async () => {
  const since = await history.append(topic("busy"), "before");
  for (let count = 0; count < MISSED; count++) await history.append(topic("busy"), `missed ${count}`);
  const requests = await requestsSince(since);
  // Before its code is compiled, the worker takes several times as long.
  const first = await openSockets(pusher, CLIENTS);
  for (const [at, { socket }] of first.entries()) socket.write(requests[at] ?? "");
  await untilConnected(pusher, CLIENTS);
  for (const { socket } of first) socket.destroy();
  await untilConnected(pusher, 0);
  await expectShortTicks(`${CLIENTS} handshakes`, async () => {
    const sockets = await openSockets(pusher, CLIENTS);
    const staying = sockets.filter((_, at) => at % CLOSING_ONE_IN !== 0);
    // The command does not wait for the welcome.
    const ping = clientFrame(TEXT, Buffer.from(JSON.stringify({ id: "early", command: "ping" })));
    for (const { socket } of sockets) socket.once("data", () => socket.write(ping));
    await longestTickMs(pusher);

    await writeToStopped(pusher, sockets, (at) => requests[at] ?? "");
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
    await untilConnected(pusher, staying.length);
    for (const { socket } of staying) socket.destroy();
    await untilConnected(pusher, 0);
    return longestMs;
  });
});
