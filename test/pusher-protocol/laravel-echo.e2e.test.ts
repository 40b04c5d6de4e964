import { createRequire } from "node:module";
import Echo from "laravel-echo";
import type { default as PusherClient } from "pusher-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type LaravelApp, startLaravelApp } from "../support/laravel-app.ts";
import { hasPhp } from "../support/php-peer.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

type EchoOptions = ConstructorParameters<typeof Echo<"pusher">>[0];

const require = createRequire(import.meta.url);
/** The build for Node. It needs the library of its browser build to decrypt. */
const Pusher = require("pusher-js") as unknown as NonNullable<EchoOptions["Pusher"]>;
const nacl = createRequire(require.resolve("pusher-js"))("tweetnacl") as NonNullable<EchoOptions["nacl"]>;

const EVENT = "App\\Events\\OrderShipped";
const NOTIFICATION = "Illuminate\\Notifications\\Events\\BroadcastNotificationCreated";

describe.skipIf(!hasPhp)("a Laravel application with Echo", () => {
  const env = pusherAppsEnv({ ...demoApp, clientEvents: true });
  const {
    pushers: [one, two],
    publisher,
  } = useCluster({ pusher: env, publisher: env });
  const echoes: { disconnect(): void }[] = [];
  let laravel: LaravelApp;

  beforeAll(async () => {
    laravel = await startLaravelApp(publisher);
  });
  afterEach(() => {
    for (const echo of echoes.splice(0)) echo.disconnect();
  });
  afterAll(() => laravel[Symbol.asyncDispose]());

  /** Opens Echo with the options of docs/migrate-from-pusher.md. */
  async function openEcho(user?: string, { pusher = one, broadcaster = "pusher" } = {}) {
    const headers: Record<string, string> = user === undefined ? {} : { "X-User": user };
    const echo = new Echo({
      broadcaster: broadcaster as "pusher", // "reverb" has the same options but one
      Pusher,
      nacl,
      key: demoApp.key,
      cluster: "fanwire",
      wsHost: "127.0.0.1",
      wsPort: Number(new URL(pusher.url).port),
      forceTLS: false,
      enabledTransports: ["ws", "wss"],
      authEndpoint: `${laravel.url}/broadcasting/auth`,
      auth: { headers },
      userAuthentication: { endpoint: `${laravel.url}/broadcasting/user-auth`, headers, transport: "ajax" },
    });
    echoes.push(echo);
    await until("Echo is connected", () => echo.socketId());
    return echo;
  }

  test.each(["pusher", "reverb"] as const)("the broadcaster %s receives broadcast events", async (broadcaster) => {
    const echo = await openEcho(undefined, { broadcaster });
    const received: unknown[] = [];
    const channel = echo.channel("orders");
    channel.listen("OrderShipped", (data: unknown) => received.push(["class", data]));
    channel.listen(".order.shipped", (data: unknown) => received.push(["name", data]));
    await subscribed(channel);

    const payload = { id: 7, url: "https://shop.example/orders/7", city: "Zürich", note: "a\nb" };
    const answers = [
      await laravel.broadcast({ name: EVENT, channels: ["orders", "elsewhere"], payload }),
      await laravel.broadcast({ name: "order.shipped", channels: ["orders"], payload: { id: 8 } }),
    ];

    expect(answers).toEqual([
      { status: 200, body: {} },
      { status: 200, body: {} },
    ]);
    await until("both events", () => received.length === 2);
    expect(received).toEqual([
      ["class", payload],
      ["name", { id: 8 }],
    ]);
  });

  test("a private channel receives events and notifications, and toOthers() leaves out the sender", async () => {
    const sender = await openEcho("1");
    const other = await openEcho("2", { pusher: two });
    const received: unknown[] = [];
    for (const [name, echo] of Object.entries({ sender, other })) {
      const channel = echo.private("orders.7");
      channel.listen("OrderShipped", (data: unknown) => received.push([name, data]));
      channel.notification((data: unknown) => received.push([name, data]));
      await subscribed(channel);
    }

    await laravel.broadcast({
      name: EVENT,
      channels: ["private-orders.7"],
      payload: { id: 1 },
      socket: sender.socketId() ?? "",
    });
    await laravel.broadcast({ name: NOTIFICATION, channels: ["private-orders.7"], payload: { type: "paid" } });

    await until("three deliveries", () => received.length === 3);
    expect(received).toEqual(
      expect.arrayContaining([
        ["other", { id: 1 }],
        ["other", { type: "paid" }],
        ["sender", { type: "paid" }],
      ]),
    );
  });

  test("a guest is refused", async () => {
    const echo = await openEcho();
    const errors: unknown[] = [];

    echo.private("orders.7").error((error: unknown) => errors.push(error));

    await until("the error", () => errors.length > 0);
    expect(errors).toMatchObject([{ status: 403 }]);
  });

  test("an encrypted channel carries what PHP encrypted", async () => {
    const echo = await openEcho("1");
    const received: unknown[] = [];
    const channel = echo.encryptedPrivate("vault");
    channel.listen("OrderShipped", (data: unknown) => received.push(data));
    await subscribed(channel);

    await laravel.broadcast({ name: EVENT, channels: ["private-encrypted-vault"], payload: { secret: "ü" } });

    await until("the event", () => received.length > 0);
    expect(received).toEqual([{ secret: "ü" }]);
  });

  test("a whisper reaches the others, on both pushers", async () => {
    const [ann, bob] = [await openEcho("1"), await openEcho("2", { pusher: two })];
    const received: unknown[] = [];
    const rooms = [ann, bob].map((echo, at) =>
      echo.private("chat").listenForWhisper("typing", (data: unknown) => received.push([at, data])),
    );
    await Promise.all(rooms.map(subscribed));

    rooms[0]?.whisper("typing", { name: "Ann" });

    await until("the whisper", () => received.length > 0);
    expect(received).toEqual([[1, { name: "Ann" }]]);
  });

  test("a presence channel shows who is here, joining and leaving, on both pushers", async () => {
    const ann = await openEcho("1");
    const seen: unknown[] = [];
    ann
      .join("lobby")
      .here((users: unknown) => seen.push(["here", users]))
      .joining((user: unknown) => seen.push(["joining", user]))
      .leaving((user: unknown) => seen.push(["leaving", user]));
    await until("Ann is here", () => seen.length === 1);

    const bob = await openEcho("2", { pusher: two });
    const here: unknown[] = [];
    bob.join("lobby").here((users: unknown) => here.push(users));
    await until("Bob is here", () => here.length === 1 && seen.length === 2);
    bob.leave("lobby");
    await until("Bob has left", () => seen.length === 3);

    const infoOf = (id: number) => ({ name: `User/${id}`, city: "Zürich" });
    expect(seen).toEqual([
      ["here", [infoOf(1)]],
      ["joining", infoOf(2)],
      ["leaving", infoOf(2)],
    ]);
    expect(here).toEqual([expect.arrayContaining([infoOf(1), infoOf(2)])]);
  });

  test("a signed-in user is reached by its id", async () => {
    const echo = await openEcho("5");
    const received: unknown[] = [];
    const { pusher } = echo.connector as { pusher: PusherClient.default };
    pusher.user.bind("greeting", (data: unknown) => received.push(data));
    let isSignedIn = false;
    pusher.bind("pusher:signin_success", () => {
      isSignedIn = true;
    });
    pusher.signin();
    await until("the user is signed in", () => isSignedIn && pusher.user.user_data !== null);

    await until("the event", async () => {
      await laravel.broadcast({ name: "greeting", channels: ["#server-to-user-5"], payload: { hello: 5 } });
      return received.length > 0;
    });
    expect(received[0]).toEqual({ hello: 5 });
  });
});

type Subscribing = { subscribed(callback: () => void): unknown };

/** Resolves when the worker has confirmed the subscription. */
async function subscribed(channel: Subscribing): Promise<void> {
  let isSubscribed = false;
  channel.subscribed(() => {
    isSubscribed = true;
  });
  await until("Echo is subscribed", () => isSubscribed);
}
