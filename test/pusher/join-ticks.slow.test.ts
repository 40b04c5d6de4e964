import { test } from "vitest";
import { metric, startPusher, type TestPusher } from "../support/cluster.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { signer } from "../support/pusher-client.ts";
import { clientFrame, connectSocket, HANDSHAKE, type RawSocket } from "../support/raw-socket.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const CLIENTS = 3_000;
const PUSHER_CLIENTS = 2_000;
/** Connections at the same time, below the length of a listen queue. */
const AT_ONCE = 200;
const TEXT = 1;

const { nats } = useCluster();
const env = {
  ...pusherAppsEnv({ ...demoApp, maxMembers: CLIENTS }),
  PUSHER_WORKERS: "1",
  PUSHER_TOKEN_SECRET: SECRET,
  PUSHER_HANDSHAKES_PER_SECOND: "0",
  ...tickMonitor,
};

/** Connects clients, each with the request that `requestOf` returns. */
async function connectAll(
  pusher: TestPusher,
  count: number,
  requestOf: (at: number) => Promise<string>,
): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < count) {
    const some = await Promise.all(Array.from({ length: AT_ONCE }, () => connectSocket(pusher.url)));
    for (const [at, { socket }] of some.entries()) socket.write(await requestOf(sockets.length + at));
    sockets.push(...some);
  }
  await until("all are connected", async () => {
    return (await metric(pusher.adminUrl, "fanwire_pusher_connections")) === count;
  });
  return sockets;
}

/** Lets all clients send their frame at the same time. Returns the longest tick until each has an answer. */
async function sendAtOnce(
  pusher: TestPusher,
  sockets: readonly RawSocket[],
  frames: readonly string[],
  answer: RegExp,
) {
  await longestTickMs(pusher);
  pusher.process.kill("SIGSTOP");
  for (const [at, { socket }] of sockets.entries()) socket.write(clientFrame(TEXT, Buffer.from(frames[at] ?? "")));
  await until("all frames are written", () => sockets.every(({ socket }) => socket.writableLength === 0));
  pusher.process.kill("SIGCONT");
  await until("all answers", () => sockets.every(({ received }) => answer.test(received().toString("latin1"))), 60_000);
  return longestTickMs(pusher);
}

function upgrade(path: string, ...headers: string[]): string {
  const [, ...rest] = HANDSHAKE;
  return [`GET ${path} HTTP/1.1`, ...rest, ...headers, "", ""].join("\r\n");
}

test("three thousand members that join at the same time take ticks below 50 ms of work", async () => {
  await using pusher = await startPusher({ nats: nats.url, env });
  const sockets = await connectAll(pusher, CLIENTS, async (at) => {
    const token = await signToken({ sub: `user-${at}`, topics: [">"], presence: [">"] });
    return upgrade(`/?token=${token}`, "Sec-WebSocket-Protocol: fanwire.v1");
  });

  for (const [what, topicOf] of [
    ["of one topic", () => "same"],
    ["of one topic each", (at: number) => `topic-${at}`],
  ] as const) {
    await expectShortTicks(`${CLIENTS} joins ${what}`, (round) => {
      const id = `${what}-${round}`;
      const frames = sockets.map((_, at) =>
        JSON.stringify({ id, command: "subscribe", topic: `${topicOf(at)}-${round}`, presence: true }),
      );
      return sendAtOnce(pusher, sockets, frames, new RegExp(`"id":"${id}",`));
    });
  }
  for (const { socket } of sockets) socket.destroy();
}, 240_000);

test("two thousand Pusher clients that join channels at the same time take ticks below 50 ms of work", async () => {
  await using pusher = await startPusher({ nats: nats.url, env });
  const sockets = await connectAll(pusher, PUSHER_CLIENTS, async () => upgrade(`/app/${demoApp.key}?protocol=7`));
  const sdk = signer();
  await until("all are greeted", () => sockets.every(({ received }) => received().includes("socket_id")));
  const ids = sockets.map(({ received }) => /socket_id\\":\\"([\d.]+)/.exec(received().toString("latin1"))?.[1] ?? "");

  for (const members of [500, 10]) {
    await expectShortTicks(`${PUSHER_CLIENTS} joins of channels by ${members}`, (round) => {
      const prefix = `presence-${members}-${round}-`;
      const frames = ids.map((id, at) => {
        const channel = `${prefix}${Math.floor(at / members)}`;
        const data = sdk.authorizeChannel(id, channel, { user_id: `user-${at}` });
        return JSON.stringify({ event: "pusher:subscribe", data: { channel, ...data } });
      });
      return sendAtOnce(pusher, sockets, frames, new RegExp(`subscription_succeeded","channel":"${prefix}`));
    });
  }
  for (const { socket } of sockets) socket.destroy();
}, 240_000);
