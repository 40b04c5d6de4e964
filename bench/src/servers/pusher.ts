import { type Dialect, plainDialect } from "../client/dialect.ts";
import type { Lab } from "../lab.ts";
import { everyoneDurably, publishOverNats, topicOf } from "./over-nats.ts";
import type { RunningServer, Server } from "./server.ts";
import { startService } from "./service.ts";

export const rawProtocol: Dialect = { ...plainDialect, greetings: 1 };
export const fanwireProtocol: Dialect = { ...rawProtocol, subprotocol: "fanwire.v1" };
const APP = { id: "1", key: "bench", secret: "bench" };
const CHANNEL = "bench";
const appEnv = { FANWIRE_PUSHER_APPS: JSON.stringify([APP]) };
/** The client is greeted when the connection is established, and when it is subscribed. */
const pusherProtocol: Dialect = {
  ...plainDialect,
  path: `/app/${APP.key}?protocol=7&client=js&version=8.6.0`,
  hello: JSON.stringify({ event: "pusher:subscribe", data: { auth: "", channel: CHANNEL } }),
  greetings: 2,
};
const sseProtocol: Dialect = { ...rawProtocol, transport: "events", path: "/sse" };

const settings = {
  PUSHER_WORKERS: "1",
  // The client opens connections as fast as it can, and reads slowly in a burst. Neither is measured.
  PUSHER_HANDSHAKES_PER_SECOND: "0",
  PUSHER_MAX_UNSENT_BYTES: "67108864",
  PUSHER_DRAIN_SECONDS: "0",
};

type Options = { dialect: Dialect; subjects?: readonly string[]; env?: Readonly<Record<string, string>> };

/** The measured server: the pusher with its default configuration and one worker. */
export async function startPusher(lab: Lab, { dialect, subjects, env }: Options): Promise<RunningServer> {
  const { pid, port, died, stop } = await startService(lab, "pusher", { ...settings, ...env });
  return { pid, died, stop, address: { host: "127.0.0.1", port }, dialect, publish: publishOverNats(lab, subjects) };
}

export const pusher: Server = {
  name: "pusher",
  summary: "apps/pusher, one worker, raw protocol",
  start: (lab) => startPusher(lab, { dialect: rawProtocol }),
};

export const pusherFlush: Server = {
  name: "pusher-flush",
  summary: "the same with PUSHER_FLUSH_MS=10",
  start: (lab) => startPusher(lab, { dialect: rawProtocol, env: { PUSHER_FLUSH_MS: "10" } }),
};

export const pusherFanwire: Server = {
  name: "pusher-v1",
  summary: "the same through fanwire.v1",
  start: (lab) => startPusher(lab, { dialect: fanwireProtocol }),
};

export const pusherApp: Server = {
  name: "pusher-app",
  summary: "the same through a channel of the Pusher protocol",
  start: (lab) =>
    startPusher(lab, {
      dialect: pusherProtocol,
      subjects: [topicOf(CHANNEL)],
      env: appEnv,
    }),
};

/** Returns servers that close connections which were idle for this time, and clients that ping in time. */
export function withIdleSeconds(seconds: number): { raw: Server; fanwire: Server; pusher: Server } {
  const env = { PUSHER_IDLE_SECONDS: String(seconds) };
  const ping = {
    everyMs: seconds * 1_000,
    frame: '{"event":"pusher:ping","data":{}}',
    answer: '{"event":"pusher:pong","data":"{}"}',
  };
  return {
    raw: { ...pusher, start: (lab) => startPusher(lab, { dialect: rawProtocol, env }) },
    fanwire: { ...pusherFanwire, start: (lab) => startPusher(lab, { dialect: fanwireProtocol, env }) },
    pusher: {
      ...pusherApp,
      start: (lab) => startPusher(lab, { dialect: { ...pusherProtocol, ping }, env: { ...env, ...appEnv } }),
    },
  };
}

export const pusherSse: Server = {
  name: "pusher-sse",
  summary: "the same through SSE",
  start: (lab) => startPusher(lab, { dialect: sseProtocol }),
};

export const pusherDurable: Server = {
  name: "pusher-durable",
  summary: "the raw protocol, publications by way of the history",
  start: (lab) => startPusher(lab, { dialect: rawProtocol, subjects: [everyoneDurably] }),
};

export const pusherFanwireDurable: Server = {
  name: "pusher-v1-durable",
  summary: "fanwire.v1, publications by way of the history, with positions",
  start: (lab) => startPusher(lab, { dialect: fanwireProtocol, subjects: [everyoneDurably] }),
};
