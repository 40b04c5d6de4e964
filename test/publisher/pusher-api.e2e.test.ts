import { expect, test } from "vitest";
import { readiness } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { hasPhp } from "../support/php-peer.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher } from "../support/pusher-client.ts";
import { answerOf, openPusherSdk, phpCall, signedCall, signedTarget } from "../support/pusher-sdk.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const KEY = "0123456789abcdef";
const otherApp = { id: "2002", key: "other-key", secret: "other-secret", maxEventBytes: 50, terminateCode: 4200 };
const env = pusherAppsEnv({ ...demoApp, namespace: "" }, otherApp);
const pusherEnv = { ...env, PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: ">", PUSHER_MAX_TOPICS: "1000" };
const { nats, bus, pushers, publishers } = useCluster({
  publisher: { ...env, PUBLISHER_API_KEYS: KEY },
  pusher: [pusherEnv, { ...pusherEnv, PUSHER_WORKERS: "1" }],
});

const [publisher, otherPublisher] = publishers;
const sdk = () => openPusherSdk(publisher);
const get = (path: string, params = {}, from = publisher) => answerOf(openPusherSdk(from).get({ path, params }));

test("a trigger reaches the clients of every protocol and pusher, with its event and without its sender", async () => {
  const topics = ["orders", "cache-orders"];
  const clients = await Promise.all(pushers.map(({ url }) => connectFanwire(url, { topic: topics })));
  const sender = await connectPusher(pushers[0].url);
  for (const topic of topics) await sender.subscribe(topic);
  const rawClient = await connectRawClient(`${pushers[1].url}?topic=orders`);

  expect(await answerOf(sdk().trigger(topics, "created", { id: 1 }, { socket_id: sender.socketId }))).toEqual({
    status: 200,
    body: {},
  });
  expect(await answerOf(sdk().trigger("orders", "foreign", "", { socket_id: "4711.815" }))).toMatchObject({
    status: 200,
  });

  for (const client of clients) {
    await until("three publications", () => client.publications.length === 3);
    expect(client.publications.map(({ topic, event, data }) => [topic, event, data]).sort()).toEqual([
      ["cache-orders", "created", '{"id":1}'],
      ["orders", "created", '{"id":1}'],
      ["orders", "foreign", ""],
    ]);
  }
  expect(await sender.next("foreign")).toEqual({ event: "foreign", channel: "orders", data: "" });
  await until("the raw client has both", () => rawClient.frames.length === 2);
  expect(sender.frames.map(({ event }) => event)).not.toContain("created");
  expect(rawClient.frames).toEqual(['{"id":1}', ""]);
});

test("private channels reach those whose tokens name them, encrypted ones as they are sent, and users everywhere", async () => {
  const token = await signToken({ sub: "ü/1 #", topics: ["private-*", "private-encrypted-*"] });
  const client = await connectFanwire(pushers[0].url, { token, topic: ["private-a", "private-encrypted-a"] });
  const encrypting = openPusherSdk(publisher, demoApp, {
    encryptionMasterKeyBase64: Buffer.alloc(32, 7).toString("base64"),
  });

  expect((await answerOf(sdk().trigger("private-a", "n", "secret"))).status).toBe(200);
  expect((await answerOf(encrypting.trigger("private-encrypted-a", "n", "hidden"))).status).toBe(200);
  expect((await answerOf(sdk().sendToUser("ü/1 #", "to-user", { a: 1 }))).status).toBe(200);
  await until("the client has all three", () => client.publications.length === 3);
  expect(client.data()[0]).toBe("secret");
  expect(JSON.parse(String(client.data()[1]))).toEqual({ nonce: expect.any(String), ciphertext: expect.any(String) });
  expect(client.publications[2]).toMatchObject({ event: "to-user", data: '{"a":1}' });
});

test("channels are listed and counted over all pushers, by every publisher, as soon as they are occupied", async () => {
  const token = await signToken({ sub: "u1", topics: ["presence-list-*", "presence-*"] });
  const clients = await Promise.all([
    connectFanwire(pushers[0].url, { topic: ["list-a", "list-b"] }),
    connectFanwire(pushers[1].url, { topic: ["list-b", "list-*", "list-not a channel"] }),
    connectFanwire(pushers[1].url, { topic: ["presence-list-c"], token }),
  ]);

  for (const each of publishers) {
    expect(await get("/channels", { filter_by_prefix: "list-" }, each)).toEqual({
      status: 200,
      body: { channels: { "list-a": {}, "list-b": {} } },
    });
    expect(await get("/channels", { filter_by_prefix: "list-", info: "subscription_count" }, each)).toEqual({
      status: 200,
      body: { channels: { "list-a": { subscription_count: 1 }, "list-b": { subscription_count: 2 } } },
    });
    expect((await get("/channels", {}, each)).body).toMatchObject({
      channels: { "list-a": {}, "presence-list-c": {} },
    });
    expect(await get("/channels", { filter_by_prefix: "nothing" }, each)).toEqual({
      status: 200,
      body: { channels: {} },
    });
    expect(await get("/channels/list-b", { info: "subscription_count" }, each)).toEqual({
      status: 200,
      body: { occupied: true, subscription_count: 2 },
    });
    expect(await get("/channels/vacant", {}, each)).toEqual({ status: 200, body: { occupied: false } });
  }
  const info = { info: "subscription_count" };
  expect((await answerOf(sdk().trigger(["list-a", "vacant", "__proto__"], "n", "x", info))).body).toEqual({
    channels: Object.fromEntries(
      ["list-a", "vacant", "__proto__"].map((name, at) => [name, { subscription_count: at === 0 ? 1 : 0 }]),
    ),
  });
  const batch = [
    { channel: "list-b", name: "n", data: "x", ...info },
    { channel: "list-a", name: "n", data: "x" },
  ];
  expect((await answerOf(sdk().triggerBatch(batch))).body).toEqual({ batch: [{ subscription_count: 2 }, {}] });
  for (const { socket } of clients) socket.close();
  await until("the channels are vacant", async () => {
    const { body } = await get("/channels", { filter_by_prefix: "list-" }, otherPublisher);
    return JSON.stringify(body) === '{"channels":{}}';
  });
});

test("users of a presence channel are listed and counted once each, over all pushers, by every publisher", async () => {
  const join = async ({ url }: { readonly url: string }, user: string, topic: string) => {
    const token = await signToken({ sub: user, topics: ["presence-*"], presence: ["presence-*"] });
    const client = await connectFanwire(url, { token });
    expect(await client.ask({ command: "subscribe", topic, presence: true })).toMatchObject({ ok: true });
    return client;
  };
  const clients = [
    await join(pushers[0], "u1", "presence-room"),
    await join(pushers[1], "__proto__", "presence-room"),
    await join(pushers[0], "u3", "presence-room-2"),
  ];
  const second = await connectPusher(pushers[1].url);
  expect((await second.subscribe("presence-room", { user_id: "u1" })).event).toMatch(/succeeded$/);

  for (const each of publishers) {
    expect(await get("/channels/presence-room/users", {}, each)).toEqual({
      status: 200,
      body: { users: [{ id: "__proto__" }, { id: "u1" }] },
    });
    expect((await get("/channels/presence-room", { info: "user_count" }, each)).body).toEqual({
      occupied: true,
      user_count: 2,
    });
    expect((await get("/channels", { filter_by_prefix: "presence-room", info: "user_count" }, each)).body).toEqual({
      channels: { "presence-room": { user_count: 2 }, "presence-room-2": { user_count: 1 } },
    });
  }
  expect((await get("/channels/presence-nobody/users")).body).toEqual({ users: [] });
  const info = { info: "user_count,subscription_count" };
  expect((await answerOf(sdk().trigger(["presence-room", "room"], "n", "x", info))).body).toEqual({
    channels: { "presence-room": { user_count: 2 }, room: { subscription_count: 0 } },
  });
  for (const { socket } of [...clients, second]) socket.close();
  await until("nobody is present", async () => {
    const { body } = await get("/channels/presence-room/users", {}, otherPublisher);
    return JSON.stringify(body) === '{"users":[]}';
  });
});

test("attributes that a channel does not have are refused, and so are names that are no channels", async () => {
  for (const [path, params] of [
    ["/channels", { info: "user_count" }],
    ["/channels", { info: "user_count", filter_by_prefix: "pres" }],
    ["/channels", { info: "subscription_count", filter_by_prefix: "presence-" }],
    ["/channels", { info: "cache" }],
    ["/channels/a", { info: "user_count" }],
    ["/channels/a", { info: "cache" }],
    ["/channels/presence-a", { info: "subscription_count" }],
    ["/channels/a%20b", {}],
    ["/channels/a/users", {}],
  ] as const) {
    expect(await get(path, params), path).toMatchObject({
      status: 400,
      body: { error: { code: "invalid_pusher_request" } },
    });
  }
});

test("a cache channel remembers its last event, and an app does not see those of another", async () => {
  await sdk().trigger("cache-last", "first", "1");
  await sdk().trigger("cache-last", "second", "2");
  const cached = { status: 200, body: { occupied: false, cache: { data: "2", ttl: expect.any(Number) } } };

  expect(await get("/channels/cache-last", { info: "cache" }, otherPublisher)).toEqual(cached);
  expect(await get("/channels/cache-never", { info: "cache" })).toEqual({
    status: 200,
    body: { occupied: false, cache: null },
  });
  const other = openPusherSdk(publisher, otherApp);
  expect((await answerOf(other.get({ path: "/channels/cache-last", params: { info: "cache" } }))).body).toEqual({
    occupied: false,
    cache: null,
  });
});

test("the channels of an app are those of its namespace", async () => {
  await connectFanwire(pushers[0].url, { topic: ["ours", "app/2002/theirs"] });
  const theirs = await answerOf(openPusherSdk(publisher, otherApp).get({ path: "/channels", params: {} }));

  expect(theirs.body).toEqual({ channels: { theirs: {} } });
  expect((await get("/channels", { filter_by_prefix: "ours" })).body).toEqual({ channels: { ours: {} } });
  expect((await get("/channels", { filter_by_prefix: "app" })).body).toEqual({ channels: {} });
});

test("terminate closes the connections of a user of the app, whatever characters the id has", async () => {
  const control: unknown[] = [];
  bus.subscribe("fanwire.control.workers", ({ data }) => control.push(JSON.parse(Buffer.from(data).toString())));
  await bus.confirm();
  const last = () => control.findLast((request) => JSON.stringify(request).includes("close-user"));

  for (const id of ["u1", "ü ä", "a/b", "a?b", "50%", "a+b", "it's", "<>|^`{}", "a&b=c"]) {
    expect(await answerOf(sdk().terminateUserConnections(id)), id).toEqual({ status: 200, body: {} });
    expect(last()).toEqual({ command: "close-user", user: id, code: 4009 });
  }
  expect((await answerOf(openPusherSdk(publisher, otherApp).terminateUserConnections("u1"))).status).toBe(200);
  expect(last()).toEqual({ command: "close-user", user: "app/2002/u1", code: 4200 });
  const path = `/apps/1001/users/${"u".repeat(256)}/terminate_connections`;
  expect((await signedCall(publisher, { path, body: "{}" })).status).toBe(400);
});

test("signatures alone let requests in, and an API key does not", async () => {
  const path = `/apps/${demoApp.id}/events`;
  const body = JSON.stringify({ name: "n", data: "x", channels: ["a"] });
  const call = { path, body };

  expect((await signedCall(publisher, call)).status).toBe(200);
  expect(await signedCall(publisher, { ...call, app: { ...demoApp, secret: "wrong" } })).toMatchObject({
    status: 401,
    body: { error: { code: "invalid_signature" } },
  });
  const withKey = await fetch(`${publisher.url}${path}`, {
    method: "POST",
    body,
    headers: { authorization: `Bearer ${KEY}` },
  });
  expect(withKey.status).toBe(401);
});

test("a prefix, a foreign host and an origin do not matter", async () => {
  const call = { path: `/apps/${demoApp.id}/channels`, method: "GET" };
  const sent = (target: string) => `/push/er${target}`;
  const response = await fetch(`${publisher.url}/x${signedTarget(call)}`, {
    headers: { "sec-fetch-site": "cross-site", origin: "https://evil.example" },
  });

  expect((await signedCall(publisher, { ...call, sent })).status).toBe(200);
  expect(response.status).toBe(200);
  expect(response.headers.get("access-control-allow-origin")).toBeNull();
});

test("parameters may be in the query", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: "by-query" });
  const params = { "channels[]": "by-query", name: "n", data: "a b+c" };

  expect(await signedCall(publisher, { path: "/apps/1001/events", params })).toEqual({ status: 200, body: {} });
  await until("the event arrives", () => client.publications.length === 1);
  expect(client.data()).toEqual(["a b+c"]);
});

test.skipIf(!hasPhp)("requests that PHP signs are accepted, and its answers are objects", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: ["php-a", "php-b"] });
  const event = { name: "событие", data: '{"a":"ü b+c"}', channels: ["php-a", "php-b"] };

  expect(await phpCall(publisher, { path: "/events", body: JSON.stringify(event) })).toEqual({
    status: 200,
    body: "{}",
  });
  await until("both publications", () => client.publications.length === 2);
  expect(client.publications[0]).toMatchObject({ event: "событие", data: '{"a":"ü b+c"}' });
  // The SDK signs an array joined with commas and sends it with indices.
  const query = { name: "n", data: "in the query", channels: ["php-a", "php-b"] };
  expect(await phpCall(publisher, { path: "/events", query })).toEqual({ status: 200, body: "{}" });
  await until("two more", () => client.publications.length === 4);

  const list = { filter_by_prefix: "php-", info: "subscription_count,subscription_count" };
  expect(await phpCall(publisher, { method: "GET", path: "/channels", query: list })).toEqual({
    status: 200,
    body: '{"channels":{"php-a":{"subscription_count":1},"php-b":{"subscription_count":1}}}',
  });
  const none = { filter_by_prefix: "no such channel+" };
  expect(await phpCall(publisher, { method: "GET", path: "/channels", query: none })).toEqual({
    status: 200,
    body: '{"channels":{}}',
  });
  // The SDK signs the path as it is, and its HTTP library escapes it.
  for (const user of ["u1", "ü ä", "a+b", "50%"]) {
    const answer = await phpCall(publisher, { path: `/users/${user}/terminate_connections`, body: "{}" });
    expect(answer, user).toEqual({ status: 200, body: "{}" });
  }
});

test("a worker that does not answer is 503, never an empty list", async () => {
  const hung = pushers[1].process;
  expect((await get("/channels")).status).toBe(200);
  hung.kill("SIGSTOP");
  try {
    await until("the publisher notices", async () => (await get("/channels")).status === 503);
  } finally {
    hung.kill("SIGCONT");
  }
  await until("the worker answers again", async () => (await get("/channels")).status === 200);
});

test("an unreachable NATS is 503 with Retry-After and a sentence", async () => {
  await nats.stop();
  await until("the publisher notices", async () => (await readiness(publisher.adminUrl)).status === 503);
  const body = JSON.stringify({ name: "n", data: "x", channels: ["a"] });
  for (const call of [
    { method: "POST", path: "/apps/1001/events", body },
    { method: "GET", path: "/apps/1001/channels" },
    { method: "GET", path: "/apps/1001/channels/a" },
    { method: "POST", path: "/apps/1001/users/u/terminate_connections", body },
  ]) {
    const response = await fetch(publisher.url + signedTarget(call), call);
    expect([response.status, response.headers.get("retry-after")], call.path).toEqual([503, "1"]);
    expect(await response.json()).toMatchObject({ error: { code: "nats_unavailable", message: expect.any(String) } });
  }
  await nats.restart();
  await until(
    "the publisher publishes again",
    async () => (await answerOf(sdk().trigger("a", "n", "x"))).status === 200,
  );
});
