import { test } from "vitest";
import { startPusher, type TestPusher } from "../support/cluster.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { openSockets, untilConnected, upgradeRequest, writeToStopped } from "./sockets-at-once.ts";

const CLIENTS = 3_000;

const { nats } = useCluster();
const env = {
  ...pusherAppsEnv(demoApp),
  PUSHER_WORKERS: "1",
  PUSHER_HANDSHAKES_PER_SECOND: "0",
  ...tickMonitor,
};

/** Lets the worker find the request of each socket in one tick. Returns the longest tick until all are answered. */
async function requestAtOnce(pusher: TestPusher, request: string, answer: string): Promise<number> {
  const sockets = await openSockets(pusher, CLIENTS);
  await longestTickMs(pusher);
  await writeToStopped(pusher, sockets, () => request);
  pusher.process.kill("SIGCONT");
  await until("all answers", () => sockets.every(({ received }) => received().includes(answer)), 60_000);
  const longest = await longestTickMs(pusher);
  for (const { socket } of sockets) socket.destroy();
  await untilConnected(pusher, 0);
  return longest;
}

test.each([
  ["raw", upgradeRequest("/?topic=busy"), "подключено"],
  ["fanwire.v1", upgradeRequest("/?topic=busy", "Sec-WebSocket-Protocol: fanwire.v1"), "welcome"],
  ["Pusher", upgradeRequest(`/app/${demoApp.key}?protocol=7`), "socket_id"],
  ["unknown Pusher app", upgradeRequest("/app/unknown?protocol=7"), "4001"],
  ["SSE", "GET /sse?topic=busy HTTP/1.1\r\nHost: x\r\n\r\n", "fanwire.welcome"],
  ["refused", upgradeRequest("/socket.io/"), "404"],
])(
  "three thousand %s clients that the worker reads in one tick take ticks below 50 ms of work",
  async (kind, request, answer) => {
    await using pusher = await startPusher({ nats: nats.url, env });
    // Before its code is compiled, the worker takes several times as long.
    await requestAtOnce(pusher, request, answer);

    await expectShortTicks(`${CLIENTS} ${kind} clients`, () => requestAtOnce(pusher, request, answer));
  },
  240_000,
);
