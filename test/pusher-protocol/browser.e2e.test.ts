import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { missingBrowser, startOrigin, useBrowser } from "../support/browser.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, signer } from "../support/pusher-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** Members of the library that the page's script uses. */
type PageClient = {
  connection: { state: string };
  user: { bind(event: string, handler: (data: unknown) => void): void };
  subscribe(name: string): {
    bind_global(handler: (event: string, data: unknown) => void): void;
    trigger(event: string, data: unknown): void;
  };
  signin(): void;
};
type Page = typeof globalThis & {
  Pusher: new (key: string, options: object) => PageClient;
  sign(kind: string, socketId: string, channel?: string): Promise<unknown>;
  client: PageClient;
  seen: [string, string, unknown][];
};

const LIBRARY = createRequire(import.meta.url)
  .resolve("pusher-js/with-encryption")
  .replace(/with-encryption.index\.js$/, "dist/web/pusher-with-encryption.js");

describe.skipIf(missingBrowser !== undefined)("in a browser", () => {
  const browser = useBrowser();
  const env = pusherAppsEnv({ ...demoApp, clientEvents: true });
  const { pusher, publisher } = useCluster({ pusher: env, publisher: env });

  test("pusher-js subscribes to all kinds of channels, decrypts, signs in and sends client events", async () => {
    await using origin = await startOrigin();
    await using context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(origin.url);
    await page.exposeFunction("sign", (kind: string, socketId: string, channel = "") => {
      const member = channel.startsWith("presence-") ? { user_id: "ann", user_info: { name: "Ann" } } : undefined;
      return kind === "user"
        ? signer().authenticateUser(socketId, { id: "ann" })
        : signer().authorizeChannel(socketId, channel, member);
    });
    await page.addScriptTag({ path: LIBRARY });
    const channels = ["news", "private-a", "presence-a", "cache-a", "private-encrypted-vault"];
    await page.evaluate(
      ({ key, port, channels }) => {
        const global = globalThis as Page;
        type Callback = (error: null, data: unknown) => void;
        global.seen = [];
        global.client = new global.Pusher(key, {
          cluster: "local",
          wsHost: "127.0.0.1",
          wsPort: port,
          forceTLS: false,
          enabledTransports: ["ws"],
          channelAuthorization: {
            customHandler: (asked: { socketId: string; channelName: string }, callback: Callback) =>
              void global.sign("channel", asked.socketId, asked.channelName).then((data) => callback(null, data)),
          },
          userAuthentication: {
            customHandler: (asked: { socketId: string }, callback: Callback) =>
              void global.sign("user", asked.socketId).then((data) => callback(null, data)),
          },
        });
        global.client.user.bind("note", (data) => global.seen.push(["user", "note", data]));
        for (const name of channels) {
          global.client.subscribe(name).bind_global((event, data) => global.seen.push([name, event, data]));
        }
        global.client.signin();
      },
      { key: demoApp.key, port: Number(new URL(pusher.url).port), channels },
    );
    const seen = () => page.evaluate(() => (globalThis as Page).seen);
    const has = async (channel: string, event: string) =>
      (await seen()).some(([name, what]) => name === channel && what === event);
    for (const channel of channels) {
      await until(`${channel} is subscribed`, () => has(channel, "pusher:subscription_succeeded"));
    }

    const sdk = signer(demoApp, Number(new URL(publisher.url).port));
    await sdk.trigger("private-encrypted-vault", "secret", { plain: true });
    await sdk.trigger("news", "e", { a: 1 });

    await until("the decrypted event", () => has("private-encrypted-vault", "secret"));
    await until("the plain event", () => has("news", "e"));
    const other = await connectPusher(pusher.url);
    await other.subscribe("presence-a", { user_id: "ben" });
    await until("the member is added", () => has("presence-a", "pusher:member_added"));
    await page.evaluate(() => {
      const { client } = globalThis as Page;
      client.subscribe("presence-a").trigger("client-hello", { by: "ann" });
    });
    expect(await other.next("client-hello")).toMatchObject({ data: '{"by":"ann"}', user_id: "ann" });
    await sdk.sendToUser("ann", "note", "hi");
    await until("the event for the user", () => has("user", "note"));
    const all = await seen();
    expect(all).toContainEqual(["private-encrypted-vault", "secret", { plain: true }]);
    expect(all).toContainEqual(["news", "e", { a: 1 }]);
    expect(await has("cache-a", "pusher:cache_miss")).toBe(true);
    expect(all.find(([name, event]) => name === "presence-a" && event.endsWith("succeeded"))?.[2]).toMatchObject({
      count: expect.any(Number),
      members: { ann: { name: "Ann" } },
    });
  });
});
