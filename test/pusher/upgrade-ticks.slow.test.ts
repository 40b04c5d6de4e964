import { test } from "vitest";
import { metric, startPusher, type TestPusher } from "../support/cluster.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectSocket, HANDSHAKE, type RawSocket } from "../support/raw-socket.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const CLIENTS = 3_000;
/** Connections at once, below the length of a listen queue. */
const AT_ONCE = 200;

const { nats } = useCluster();
const env = {
  ...pusherAppsEnv(demoApp),
  PUSHER_WORKERS: "1",
  PUSHER_HANDSHAKES_PER_SECOND: "0",
  ...tickMonitor,
};

function upgrade(path: string, ...headers: string[]): string {
  const [, ...rest] = HANDSHAKE;
  return [`GET ${path} HTTP/1.1`, ...rest, ...headers, "", ""].join("\r\n");
}

async function connectAll(pusher: TestPusher): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < CLIENTS) {
    sockets.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => connectSocket(pusher.url)))));
  }
  return sockets;
}

/** Lets the worker find the request of each socket in one tick. Returns the longest tick until all are answered. */
async function requestAtOnce(pusher: TestPusher, request: string, answer: string): Promise<number> {
  const sockets = await connectAll(pusher);
  await longestTickMs(pusher);
  pusher.process.kill("SIGSTOP");
  for (const { socket } of sockets) socket.write(request);
  await until("all requests are written", () => sockets.every(({ socket }) => socket.writableLength === 0));
  pusher.process.kill("SIGCONT");
  await until("all answers", () => sockets.every(({ received }) => received().includes(answer)), 60_000);
  const longest = await longestTickMs(pusher);
  for (const { socket } of sockets) socket.destroy();
  await until("no connection is left", async () => {
    return (await metric(pusher.adminUrl, "fanwire_pusher_connections")) === 0;
  });
  return longest;
}

test.each([
  ["raw", upgrade("/?topic=busy"), "подключено"],
  ["fanwire.v1", upgrade("/?topic=busy", "Sec-WebSocket-Protocol: fanwire.v1"), "welcome"],
  ["Pusher", upgrade(`/app/${demoApp.key}?protocol=7`), "socket_id"],
  ["unknown Pusher app", upgrade("/app/unknown?protocol=7"), "4001"],
  ["SSE", "GET /sse?topic=busy HTTP/1.1\r\nHost: x\r\n\r\n", "fanwire.welcome"],
  ["refused", upgrade("/socket.io/"), "404"],
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
