import { expect, test } from "vitest";
import { connectFanwire } from "../support/fanwire-client.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, connectPusherJs, subscribeJs } from "../support/pusher-client.ts";
import { answerOf, openPusherSdk } from "../support/pusher-sdk.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { pushers, publishers } = useCluster({ publisher: pusherAppsEnv(), pusher: pusherAppsEnv() });
const [sdk, otherSdk] = [() => openPusherSdk(publishers[0]), () => openPusherSdk(publishers[1])];
const get = async (path: string, params = {}) => (await answerOf(otherSdk().get({ path, params }))).body;

test("pusher-js receives what the SDK triggers, on every pusher, and the sender does not", async () => {
  using sender = await connectPusherJs(pushers[0].url);
  using other = await connectPusherJs(pushers[1].url);
  const ofSender = await subscribeJs(sender, "private-room");
  const ofOther = await subscribeJs(other, "private-room");

  const params = { socket_id: sender.connection.socket_id };
  expect((await answerOf(sdk().trigger("private-room", "said", { text: "hello ü" }, params))).status).toBe(200);
  expect((await answerOf(sdk().trigger("private-room", "said", "to all"))).status).toBe(200);
  await until("both have the second event", () =>
    [ofSender, ofOther].every(({ events }) => events.some(({ data }) => data === "to all")),
  );
  const said = ({ events }: typeof ofSender) => events.filter(({ event }) => event === "said").map(({ data }) => data);
  expect(said(ofOther)).toEqual([{ text: "hello ü" }, "to all"]);
  expect(said(ofSender)).toEqual(["to all"]);
});

test("a new subscriber of a cache channel receives the last event that was triggered", async () => {
  for (const text of ["first", "second"]) await sdk().trigger("cache-news", "news", text);
  const client = await connectPusher(pushers[1].url);

  await client.subscribe("cache-news");
  expect(await client.next("news", "cache-news")).toMatchObject({ data: "second" });
  expect(await get("/channels/cache-news", { info: "cache,subscription_count" })).toEqual({
    occupied: true,
    subscription_count: 1,
    cache: { data: "second", ttl: expect.any(Number) },
  });
  client.socket.close();
});

test("a channel and a member are visible to another publisher as soon as the client knows of its success", async () => {
  for (let round = 0; round < 10; round++) {
    const client = await connectPusher(pushers[round % 2]?.url ?? "");
    const channel = `presence-visible-${round}`;
    await client.subscribe(channel, { user_id: `u${round}` });
    const [list, users, found] = await Promise.all([
      get("/channels", { filter_by_prefix: channel, info: "user_count" }),
      get(`/channels/${channel}/users`),
      get(`/channels/${channel}`, { info: "user_count" }),
    ]);

    expect(list).toEqual({ channels: { [channel]: { user_count: 1 } } });
    expect(users).toEqual({ users: [{ id: `u${round}` }] });
    expect(found).toEqual({ occupied: true, user_count: 1 });
    client.socket.close();
  }
});

test("a member with connections to two pushers counts once, and all protocols occupy a channel", async () => {
  const clients = await Promise.all([...pushers, ...pushers].map(({ url }) => connectPusher(url)));
  for (const [at, client] of clients.entries()) await client.subscribe("presence-once", { user_id: `u${at % 3}` });
  const fanwire = await connectFanwire(pushers[0].url, { topic: "mixed-room" });
  await clients[0]?.subscribe("mixed-room");

  expect(await get("/channels/presence-once/users")).toEqual({ users: [{ id: "u0" }, { id: "u1" }, { id: "u2" }] });
  expect(await get("/channels/presence-once", { info: "user_count" })).toEqual({ occupied: true, user_count: 3 });
  expect(await get("/channels/mixed-room", { info: "subscription_count" })).toEqual({
    occupied: true,
    subscription_count: 2,
  });
  for (const { socket } of [...clients, fanwire]) socket.close();
});

test("events to a user reach it on every pusher, and terminate closes its connections alone", async () => {
  const id = "user/ü 1";
  using one = await connectPusherJs(pushers[0].url, { user: { id } });
  using two = await connectPusherJs(pushers[1].url, { user: { id } });
  using bystander = await connectPusherJs(pushers[1].url, { user: { id: "bystander" } });
  const received: string[] = [];
  for (const [name, client] of Object.entries({ one, two, bystander })) {
    client.signin();
    await client.user.signinDonePromise;
    client.user.bind("greeting", (data: unknown) => received.push(`${name} ${JSON.stringify(data)}`));
  }
  // The subscription to the user's own channel follows the signin.
  await until("the user receives events", async () => {
    await sdk().sendToUser(id, "greeting", { a: 1 });
    return received.some((text) => text.startsWith("one")) && received.some((text) => text.startsWith("two"));
  });
  expect(new Set(received)).toEqual(new Set(['one {"a":1}', 'two {"a":1}']));

  expect(await answerOf(sdk().terminateUserConnections(id))).toEqual({ status: 200, body: {} });
  await until("both are disconnected for good", () =>
    [one, two].every(({ connection }) => connection.state === "disconnected"),
  );
  expect(bystander.connection.state).toBe("connected");
});
