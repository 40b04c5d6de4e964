import { createRequire } from "node:module";
import type { Socket } from "node:net";
import type PusherServer from "pusher";
import type { Channel, Options } from "pusher-js";
import { type ClientOptions, WebSocket } from "ws";
import { closeAfterTest } from "./open-clients.ts";
import { demoApp, openPusherJs } from "./pusher-apps.ts";
import { until } from "./wait.ts";

/** The server SDK, which signs for tests. */
const Sdk = createRequire(import.meta.url)("pusher") as typeof PusherServer;

export type TestApp = { readonly id: string; readonly key: string; readonly secret: string };
type MemberData = { readonly user_id: string; readonly user_info?: Record<string, unknown> };

export type PusherFrame = {
  readonly event: string;
  readonly channel?: string;
  readonly data?: unknown;
  readonly user_id?: string;
};

export type PusherClient = {
  readonly socket: WebSocket;
  readonly socketId: string;
  /** All frames, in order. */
  readonly frames: PusherFrame[];
  readonly close: { readonly code: number; readonly reason: string } | undefined;
  send(frame: unknown): void;
  /** Waits for a frame that was not returned before. */
  next(event: string, channel?: string): Promise<PusherFrame>;
  /** Waits until everything that was sent before has been processed. */
  settle(): Promise<void>;
  /** Subscribes with the signature of the app. Returns the answer. */
  subscribe(channel: string, member?: MemberData): Promise<PusherFrame>;
};

/** Returns the server SDK of an app. `port` is that of its HTTP API. */
export function signer({ id, key, secret }: TestApp = demoApp, port = 80) {
  const target = { host: "127.0.0.1", port: String(port), useTLS: false };
  return new Sdk({ appId: id, key, secret, ...target, encryptionMasterKeyBase64: MASTER_KEY });
}

/** For encrypted channels. */
const MASTER_KEY = Buffer.alloc(32, 7).toString("base64");
const DEFAULT_QUERY = "?protocol=7&client=js&version=8.6.0&flash=false";

export function pusherUrl(url: string, key: string = demoApp.key, query = DEFAULT_QUERY): string {
  return `${new URL(`/app/${key}`, url)}${query}`;
}

/** Connects a client that keeps all frames as they are. Resolves when the connection is established. */
export async function connectPusher(
  url: string,
  app: TestApp = demoApp,
  options: ClientOptions = {},
): Promise<PusherClient> {
  const client = openPusherSocket(pusherUrl(url, app.key), {}, app, options);
  await client.next("pusher:connection_established");
  return client;
}

/** Opens a connection, which may be refused. */
export function openPusherSocket(
  target: string,
  headers: Record<string, string> = {},
  app: TestApp = demoApp,
  options: ClientOptions = {},
): PusherClient {
  const socket = new WebSocket(target, { headers, perMessageDeflate: false, ...options });
  closeAfterTest(() => socket.terminate());
  const frames: PusherFrame[] = [];
  const taken = new Set<PusherFrame>();
  let close: PusherClient["close"];
  socket.on("message", (data: Buffer) => frames.push(JSON.parse(data.toString())));
  socket.on("close", (code, reason) => {
    close = { code, reason: reason.toString() };
  });
  socket.on("error", () => {});
  /** Waits for such a frame that was not returned before. */
  const take = (what: string, isWanted: (frame: PusherFrame) => boolean) =>
    until(
      () => `${what}, not ${JSON.stringify(frames.slice(-5))}`,
      () => {
        const found = frames.find((frame) => !taken.has(frame) && isWanted(frame));
        if (found) taken.add(found);
        return found;
      },
    );
  const client: PusherClient = {
    socket,
    get socketId() {
      const first = frames.find(({ event }) => event === "pusher:connection_established");
      return String(JSON.parse(String(first?.data)).socket_id);
    },
    frames,
    get close() {
      return close;
    },
    send: (frame) => socket.send(typeof frame === "string" ? frame : JSON.stringify(frame)),
    next: (event, channel) =>
      take(
        `${event} on ${channel}`,
        (frame) => frame.event === event && (channel === undefined || frame.channel === channel),
      ),
    settle: async () => {
      client.send({ event: "pusher:ping", data: {} });
      await client.next("pusher:pong");
    },
    subscribe: async (channel, member) => {
      const auth = /^(private|presence)-/.test(channel)
        ? signer(app).authorizeChannel(client.socketId, channel, member)
        : { auth: "" };
      client.send({ event: "pusher:subscribe", data: { channel, ...auth } });
      const isAnswer = (frame: PusherFrame) => /subscription_(succeeded|error)$/.test(frame.event);
      return take(`the answer for ${channel}`, (frame) => frame.channel === channel && isAnswer(frame));
    },
  };
  return client;
}

/** Sends frames in one write, so that the worker reads them in one tick. */
export function sendTogether({ socket, send }: PusherClient, count: number, frameAt: (at: number) => unknown): void {
  const { _socket: tcp } = socket as unknown as { readonly _socket: Socket }; // of `ws`, which does not export it
  tcp.cork();
  for (let at = 0; at < count; at++) send(frameAt(at));
  tcp.uncork();
}

/** Opens a connection, and returns what became of it: `open`, or the code with which it was closed. */
export async function tryPusher(url: string) {
  const client = openPusherSocket(pusherUrl(url));
  await until("the first frame", () => client.frames.length > 0);
  if (client.frames[0]?.event === "pusher:connection_established") return { client, outcome: "open" };
  await until("the close", () => client.close);
  return { client, outcome: client.close?.code, error: client.frames[0]?.data };
}

/** Tries until a client is refused with the code. The workers learn of each other's connections in a moment. */
export function untilOverQuota(url: string) {
  return until("a client is refused with 4004", async () => {
    const tried = await tryPusher(url);
    tried.client.socket.close();
    await until("the close", () => tried.client.close);
    return tried.outcome === 4004 && tried;
  });
}

/** Opens pusher-js with an application that signs everything. Resolves when it is connected. */
export async function connectPusherJs(
  url: string,
  options: Partial<Options> & { readonly member?: MemberData; readonly user?: { id: string } } = {},
) {
  const { member, user, ...rest } = options;
  const sdk = signer();
  const pusher = openPusherJs(Number(new URL(url).port), {
    channelAuthorization: {
      endpoint: "",
      transport: "ajax",
      customHandler: ({ socketId, channelName }, callback) =>
        callback(
          null,
          sdk.authorizeChannel(socketId, channelName, channelName.startsWith("presence-") ? member : undefined),
        ),
    },
    userAuthentication: {
      endpoint: "",
      transport: "ajax",
      customHandler: ({ socketId }, callback) => callback(null, sdk.authenticateUser(socketId, user ?? { id: "none" })),
    },
    ...rest,
  });
  await until(`pusher-js connects, not ${pusher.connection.state}`, () => pusher.connection.state === "connected");
  return Object.assign(pusher, { [Symbol.dispose]: () => pusher.disconnect() });
}

/** Records the events of a channel. Resolves when the client is subscribed. */
export async function subscribeJs(pusher: { subscribe(name: string): Channel }, name: string) {
  const channel = pusher.subscribe(name);
  const events: { event: string; data: unknown; userId?: string }[] = [];
  channel.bind_global((event: string, data: unknown) => events.push({ event, data }));
  await until(
    () => `pusher-js is subscribed to ${name}, not ${JSON.stringify(events)}`,
    () => events.some(({ event }) => event === "pusher:subscription_succeeded"),
  );
  return { channel, events };
}
