import { test } from "vitest";
import { startPusher, type TestPusher } from "../support/cluster.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { signer } from "../support/pusher-client.ts";
import { clientFrame, type RawSocket } from "../support/raw-socket.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { openSockets, untilConnected, upgradeRequest, writeToStopped } from "./sockets-at-once.ts";

const CLIENTS = 3_000;
const PUSHER_CLIENTS = 2_000;
const TEXT = 1;

const { nats } = useCluster();
const env = {
  ...pusherAppsEnv({ ...demoApp, maxMembers: CLIENTS }),
  PUSHER_WORKERS: "1",
  PUSHER_TOKEN_SECRET: SECRET,
  PUSHER_HANDSHAKES_PER_SECOND: "0",
  ...tickMonitor,
};

/** Connects a client for each request. */
async function connectAll(pusher: TestPusher, requests: readonly string[]): Promise<RawSocket[]> {
  const sockets = await openSockets(pusher, requests.length);
  for (const [at, { socket }] of sockets.entries()) socket.write(requests[at] ?? "");
  await untilConnected(pusher, requests.length);
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
  await writeToStopped(pusher, sockets, (at) => clientFrame(TEXT, Buffer.from(frames[at] ?? "")));
  pusher.process.kill("SIGCONT");
  await until("all answers", () => sockets.every(({ received }) => answer.test(received().toString("latin1"))), 60_000);
  return longestTickMs(pusher);
}

test("three thousand members that join at the same time take ticks below 50 ms of work", async () => {
  await using pusher = await startPusher({ nats: nats.url, env });
  const tokens = await Promise.all(
    Array.from({ length: CLIENTS }, (_, at) => signToken({ sub: `user-${at}`, topics: [">"], presence: [">"] })),
  );
  const requests = tokens.map((token) => upgradeRequest(`/?token=${token}`, "Sec-WebSocket-Protocol: fanwire.v1"));
  const sockets = await connectAll(pusher, requests);

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
  const request = upgradeRequest(`/app/${demoApp.key}?protocol=7`);
  const sockets = await connectAll(pusher, Array(PUSHER_CLIENTS).fill(request));
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
