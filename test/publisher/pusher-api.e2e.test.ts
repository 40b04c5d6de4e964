import { expect, test } from "vitest";
import { connectFanwire } from "../support/fanwire-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { answerOf, openPusherSdk, signedCall, signedTarget } from "../support/pusher-sdk.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const KEY = "0123456789abcdef";
const otherApp = { id: "2002", key: "other-key", secret: "other-secret", maxEventBytes: 50, terminateCode: 4200 };
const env = pusherAppsEnv({ ...demoApp, namespace: "" }, otherApp);
const pusherEnv = { ...env, PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: ">", PUSHER_MAX_TOPICS: "1000" };
const { bus, pushers, publishers } = useCluster({
  publisher: { ...env, PUBLISHER_API_KEYS: KEY },
  pusher: [pusherEnv, { ...pusherEnv, PUSHER_WORKERS: "1" }],
});

const [publisher, otherPublisher] = publishers;
const sdk = () => openPusherSdk(publisher);
const socketIdOf = (address: string) => {
  const [worker = "", connection] = address.split(".");
  return `${Number.parseInt(worker, 36)}.${connection}`;
};
const get = (path: string, params = {}, from = publisher) => answerOf(openPusherSdk(from).get({ path, params }));
const raw = (body: unknown, path = `/apps/${demoApp.id}/events`) =>
  signedCall(publisher, { path, body: typeof body === "string" ? body : JSON.stringify(body) });

test("a trigger reaches the clients of every protocol and pusher, with its event and without its sender", async () => {
  const topics = ["orders", "cache-orders"];
  const clients = await Promise.all(pushers.map(({ url }) => connectFanwire(url, { topic: topics })));
  const sender = await connectFanwire(pushers[0].url, { topic: topics });
  const rawClient = await connectRawClient(`${pushers[1].url}?topic=orders`);

  const socketId = socketIdOf(sender.welcome.connection);
  expect(await answerOf(sdk().trigger(topics, "created", { id: 1 }, { socket_id: socketId }))).toEqual({
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
  await until("the sender has the second event", () => sender.publications.length === 1);
  await until("the raw client has both", () => rawClient.frames.length === 2);
  expect(sender.publications.map(({ event }) => event)).toEqual(["foreign"]);
  expect(rawClient.frames).toEqual(['{"id":1}', ""]);
  for (const { socket } of [...clients, sender, rawClient]) socket.close();
});

test("a trigger goes to 100 channels, and a batch of ten keeps its order", async () => {
  const channels = Array.from({ length: 100 }, (_, at) => `many-${at}`);
  const client = await connectFanwire(pushers[0].url, { topic: channels });

  expect(await answerOf(sdk().trigger(channels, "n", "x"))).toEqual({ status: 200, body: {} });
  await until("the client has 100 publications", () => client.publications.length === 100);
  expect(new Set(client.publications.map(({ topic }) => topic)).size).toBe(100);

  const batch = Array.from({ length: 10 }, (_, at) => ({ channel: `many-${at % 3}`, name: "b", data: String(at) }));
  expect(await answerOf(sdk().triggerBatch(batch))).toEqual({ status: 200, body: {} });
  await until("the client has the batch", () => client.publications.length === 110);
  expect(client.data().slice(100)).toEqual(batch.map(({ data }) => data));
  client.socket.close();
});

test("a batch of live and cached events arrives in order", async () => {
  const client = await connectFanwire(pushers[1].url, { topic: ["cache-mixed", "mixed"] });
  const batch = Array.from({ length: 10 }, (_, at) => ({
    channel: at % 2 === 0 ? "cache-mixed" : "mixed",
    name: "b",
    data: String(at),
  }));

  expect((await answerOf(sdk().triggerBatch(batch))).status).toBe(200);
  await until("the client has the batch", () => client.publications.length === 10);
  expect(client.data()).toEqual(batch.map(({ data }) => data));
  client.socket.close();
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
  client.socket.close();
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
  expect((await answerOf(sdk().trigger(["list-a", "vacant"], "n", "x", info))).body).toEqual({
    channels: { "list-a": { subscription_count: 1 }, vacant: { subscription_count: 0 } },
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
    await join(pushers[1], "u1", "presence-room"),
    await join(pushers[1], "__proto__", "presence-room"),
    await join(pushers[0], "u3", "presence-room-2"),
  ];

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
  for (const { socket } of clients) socket.close();
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

test("apps have namespaces of their own", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: ["shared", "app/2002/shared"] });
  const other = openPusherSdk(publisher, otherApp);

  await other.trigger("shared", "n", "of the other");
  await sdk().trigger("shared", "n", "of ours");
  await until("both publications", () => client.publications.length === 2);
  expect(client.publications.map(({ topic, data }) => [topic, data])).toEqual([
    ["app/2002/shared", "of the other"],
    ["shared", "of ours"],
  ]);
  expect((await answerOf(other.get({ path: "/channels", params: {} }))).body).toEqual({ channels: { shared: {} } });
  expect((await get("/channels", { filter_by_prefix: "app" })).body).toEqual({ channels: {} });
  client.socket.close();
});

test("limits are those of Pusher: 100 channels, 10 events, the app's bytes of data", async () => {
  const event = { name: "n", data: "x" };
  const channels = Array.from({ length: 101 }, (_, at) => `c${at}`);
  const batch = (count: number) => Array.from({ length: count }, () => ({ ...event, channel: "a" }));

  expect(await raw({ ...event, channels })).toMatchObject({
    status: 400,
    body: { error: { details: [{ field: "channels" }] } },
  });
  expect(await raw({ batch: batch(11) }, "/apps/1001/batch_events")).toMatchObject({ status: 400 });
  expect(await raw({ ...event, data: "d".repeat(10_240), channels: ["a"] })).toEqual({ status: 200, body: {} });
  expect(await raw({ ...event, data: "d".repeat(10_241), channels: ["a"] })).toMatchObject({
    status: 413,
    body: { error: { code: "event_too_large" } },
  });
  const other = openPusherSdk(publisher, otherApp);
  expect((await answerOf(other.trigger("a", "n", "d".repeat(50)))).status).toBe(200);
  expect((await answerOf(other.trigger("a", "n", "ü".repeat(26)))).status).toBe(413);
});

test("one bad event refuses the whole batch", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: "whole" });
  const good = { channel: "whole", name: "n", data: "x" };

  for (const bad of [null, 7, { ...good, channel: 7 }, { ...good, data: {} }, { ...good, name: "pusher:x" }]) {
    expect((await raw({ batch: [good, bad] }, "/apps/1001/batch_events")).status, JSON.stringify(bad)).toBe(400);
  }
  await sdk().trigger("whole", "n", "last");
  await until("the last event", () => client.publications.length > 0);
  expect(client.data()).toEqual(["last"]);
  client.socket.close();
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
  // The Python SDK names no app.
  expect(await raw("{}", "/users/python/terminate_connections")).toEqual({ status: 200, body: {} });
  expect(last()).toMatchObject({ user: "python" });
  expect((await raw("{}", `/apps/1001/users/${"u".repeat(256)}/terminate_connections`)).status).toBe(400);
});

test("signatures alone let requests in: no API key, no wrong clock, no changed or unsigned body", async () => {
  const path = `/apps/${demoApp.id}/events`;
  const body = JSON.stringify({ name: "n", data: "x", channels: ["a"] });
  const call = { path, body };

  expect((await signedCall(publisher, call)).status).toBe(200);
  expect((await signedCall(publisher, { ...call, clockSeconds: 590 })).status).toBe(200);
  for (const wrong of [
    { ...call, clockSeconds: 601 },
    { ...call, clockSeconds: -601 },
    { ...call, hasMd5: false },
    { ...call, app: { ...demoApp, secret: "wrong" } },
    { ...call, app: { ...demoApp, key: "wrong" } },
    { ...call, app: { ...otherApp, id: demoApp.id } },
    { ...call, sent: (target: string) => target.replace(/auth_signature=.*/, "auth_signature=0") },
    { ...call, signed: (text: string) => text.replace("POST", "GET") },
  ]) {
    const answer = await signedCall(publisher, wrong);
    expect(answer).toMatchObject({ status: 401, body: { error: { code: "invalid_signature" } } });
    expect(JSON.stringify(answer.body)).not.toMatch(/[0-9a-f]{64}/);
  }
  const unknown = await signedCall(publisher, { ...call, path: "/apps/9/events" });
  expect(unknown).toMatchObject({ status: 404, body: { error: { code: "unknown_app" } } });
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

test("a bad publish disturbs nobody", async () => {
  const clients = await Promise.all(pushers.map(({ url }) => connectFanwire(url, { topic: "steady" })));
  const bodies = [
    "",
    "[]",
    "null",
    "7",
    "{",
    '{"name":"n","data":"x","channels":[7]}',
    '{"name":"n","data":"x","channels":[{"a":1}]}',
    '{"name":{},"data":"x","channels":["steady"]}',
    '{"name":"n","data":{"a":1},"channels":["steady"]}',
    '{"name":"n","data":"x","channels":{"length":1}}',
    '{"name":"n","data":"\\ud800","channels":["steady"]}',
    '{"__proto__":{"name":"n","data":"x","channels":["steady"]}}',
    '{"name":"n\\r\\nNats-Stream: x","data":"x","channels":["steady"]}',
    '{"name":"n","data":"x","channels":["a b"]}',
    '{"name":"n","data":"x","channels":[">"]}',
    `${"[".repeat(5_000)}`,
  ];
  for (const body of bodies) expect((await raw(body)).status, body.slice(0, 60)).toBe(400);

  const odd = '{"name":"n","data":"x","channels":["__proto__","constructor","steady"],"info":"subscription_count"}';
  const answer = await signedCall(publisher, { path: "/apps/1001/events", body: odd });
  expect(answer.status).toBe(200);
  expect(JSON.stringify(answer.body)).toBe(
    '{"channels":{"__proto__":{"subscription_count":0},"constructor":{"subscription_count":0},"steady":{"subscription_count":2}}}',
  );
  await until("everybody still receives", () => clients.every(({ publications }) => publications.length === 1));
  for (const { socket } of clients) socket.close();
});

test("parameters may be in the query", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: ["by-query", "by-query-2"] });
  const path = "/apps/1001/events";
  const ruby = { "channels[]": "by-query", name: "n", data: "a b+c" };

  expect(await signedCall(publisher, { path, params: ruby })).toEqual({ status: 200, body: {} });
  const php = {
    path,
    params: { "channels[0]": "by-query", "channels[1]": "by-query-2", name: "n", data: "php" },
    signed: (text: string) =>
      text.replace("channels[0]=by-query&channels[1]=by-query-2", "channels=by-query,by-query-2"),
  };
  expect(await signedCall(publisher, php)).toEqual({ status: 200, body: {} });
  await until("all of it", () => client.publications.length === 3);
  expect(client.data()).toEqual(["a b+c", "php", "php"]);
  client.socket.close();
});
