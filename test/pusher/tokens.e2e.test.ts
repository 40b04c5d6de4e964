import type { DurableTarget } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { askWorker, publishToEveryone, publishToTopic, subjects } from "../support/bus.ts";
import { metric } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { bus, history, pusher } = useCluster({
  pusher: { PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_LEEWAY_SECONDS: "0", PUSHER_PUBLIC_TOPICS: "public.>" },
});

type Claims = { sub?: string; topics?: string[]; publish?: string[]; expiresInSeconds?: number };

const token = ({ expiresInSeconds = 3_600, ...claims }: Claims, secret = SECRET) =>
  signToken(claims, { expiresInSeconds, secret });

test("without a token a client receives publications to everyone and to public topics only", async () => {
  const client = await connectFanwire(pusher.url, { topic: "public.news" });

  expect(await client.ask({ command: "subscribe", topic: "private" })).toMatchObject({
    ok: false,
    error: { code: "forbidden" },
  });
  expect(await client.ask({ command: "subscribe", topic: ">" })).toMatchObject({ ok: false });
  await publishToTopic(bus, "public.news", "news");
  await publishToEveryone(bus, "all");
  await until("both publications arrive", () => client.publications.length === 2);
  await expect(connectRawClient(`${pusher.url}?topic=private`)).rejects.toThrow("closed with 4403");
  await expect(readEvents(`${pusher.sseUrl}?topic=private`)).rejects.toThrow("403");
  await expect(connectFanwire(pusher.url, { topic: "private" })).rejects.toThrow("closed with 4403");
});

test("a publication to a user reaches all its connections on all workers, and no other user", async () => {
  const anna = await token({ sub: "anna" });
  const bob = await token({ sub: "bob" });
  const own: Awaited<ReturnType<typeof connectFanwire>>[] = [];
  const workers = () => new Set(own.map(({ welcome }) => welcome.connection.split(".")[0]));
  // The kernel decides which worker accepts a connection.
  while (own.length < 8 || workers().size < 2) own.push(await connectFanwire(pusher.url, { token: anna }));
  const raw = await connectRawClient(`${pusher.url}?token=${anna}`);
  const stream = await readEvents(`${pusher.sseUrl}?token=${anna}`);
  const other = await connectFanwire(pusher.url, { token: bob });

  await bus.publish(subjects.live({ kind: "user", user: "anna" }), Buffer.from("for anna"));
  await publishToEveryone(bus, "end");

  await until("all receive the last publication", () =>
    [...own, other].every((client) => client.data().at(-1) === "end"),
  );
  for (const client of own) expect(client.data()).toEqual(["for anna", "end"]);
  expect(other.data()).toEqual(["end"]);
  await until("the other protocols as well", () => raw.frames.length === 2 && stream.events().length === 3);
});

test("a token defines the topics that a client may subscribe to and publish to", async () => {
  const jwt = await token({ sub: "dora", topics: ["orders.*"], publish: ["chat.>"] });
  const client = await connectFanwire(pusher.url, { token: jwt, topic: ["orders.7", "orders.*", "public.x"] });
  const listener = await connectFanwire(pusher.url, { token: await token({ topics: ["chat.>"] }), topic: "chat.>" });

  expect(await client.ask({ command: "subscribe", topic: "orders.>" })).toMatchObject({ ok: false });
  expect(await client.ask({ command: "publish", topic: "orders.7", data: "x" })).toMatchObject({ ok: false });
  const said = { command: "publish", topic: "chat.1", data: "hello", event: "said" };
  expect(await client.ask(said)).toMatchObject({ ok: true });
  await until("the publication arrives", () => listener.publications.length === 1);
  expect(listener.publications[0]).toMatchObject({
    topic: "chat.1",
    subscription: "chat.>",
    event: "said",
    data: "hello",
  });
});

test("invalid tokens are refused by every protocol, counted, and never logged", async () => {
  const wrong = [
    "garbage",
    await token({ sub: "eve" }, "another secret of more than thirty-two bytes"),
    await token({ sub: "eve", expiresInSeconds: -10 }),
    `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from('{"sub":"eve"}').toString("base64url")}.`,
  ];
  const before = await metric(pusher.adminUrl, "fanwire_pusher_connections_refused_total", { reason: "token" });

  for (const each of wrong) {
    await expect(connectRawClient(`${pusher.url}?token=${each}`)).rejects.toThrow("closed with 4401");
    await expect(readEvents(`${pusher.sseUrl}?token=${each}`)).rejects.toThrow("401");
    await expect(connectFanwire(pusher.url, { token: each })).rejects.toThrow("closed with 4401");
  }

  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_refused_total", { reason: "token" })).toBe(
    before + 12,
  );
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_closed_total", { code: "4401" })).toBe(0);
  for (const each of wrong) expect(pusher.process.output()).not.toContain(each);
});

test("an expired token closes its connection with 4401, a refreshed one does not", async () => {
  const brief = await token({ sub: "finn", topics: ["a"], expiresInSeconds: 3 });
  const ends = await connectFanwire(pusher.url, { token: brief });
  const stream = await readEvents(`${pusher.sseUrl}?token=${brief}`);
  const stays = await connectFanwire(pusher.url, { token: brief, topic: "a" });

  expect(await stays.ask({ command: "refresh", token: "garbage" })).toMatchObject({
    ok: false,
    error: { code: "unauthorized" },
  });
  expect(await stays.ask({ command: "refresh", token: await token({ sub: "gil" }) })).toMatchObject({ ok: false });
  expect(await stays.ask({ command: "refresh", token: await token({ sub: "finn", topics: ["b"] }) })).toMatchObject({
    ok: true,
    dropped: ["a"],
  });

  await until("the other connections are closed", () => ends.close && stream.hasEnded());
  expect(ends.close).toEqual({ code: 4401, reason: "the token has expired" });
  expect(stream.events().at(-1)).toMatchObject({ event: "fanwire.close" });
  expect(await stays.ask({ command: "subscribe", topic: "b" })).toMatchObject({ ok: true });
  // The new token does not allow topic a.
  await publishToTopic(bus, "a", "missed");
  await publishToTopic(bus, "b", "received");
  await until("the client receives a publication", () => stays.publications.length > 0);
  expect(stays.data()).toEqual(["received"]);
  expect(stays.close).toBeUndefined();
});

test("commands after a refresh use the new token, also in the same frame", async () => {
  const client = await connectFanwire(pusher.url, { token: await token({ sub: "hana", topics: ["a"] }) });
  const wide = await token({ sub: "hana", topics: ["b"], publish: ["b"] });
  const narrow = await token({ sub: "hana" });

  const answers = await client.askTogether([
    { command: "subscribe", topic: "b" },
    { command: "refresh", token: wide },
    { command: "subscribe", topic: "b" },
    { command: "publish", topic: "b", data: "x" },
    { command: "refresh", token: narrow },
    { command: "publish", topic: "b", data: "y" },
    { command: "subscribe", topic: "b" },
    { command: "refresh", token: "garbage" },
    { command: "ping" },
  ]);

  expect(answers.map(({ ok }) => ok)).toEqual([false, true, true, true, true, false, false, false, true]);
});

test("the commands of one frame take effect in order", async () => {
  const client = await connectFanwire(pusher.url, { token: await token({ topics: [">"], publish: [">"] }) });

  await client.askTogether([
    { command: "publish", topic: "ordered", data: "too early" },
    { command: "subscribe", topic: "ordered" },
    { command: "publish", topic: "ordered", data: "in time" },
    { command: "refresh", token: await token({ topics: [">"], publish: ["ordered"] }) },
    { command: "publish", topic: "ordered", data: "last" },
  ]);

  await until("the last publication arrives", () => client.data().includes("last"));
  expect(client.data()).toEqual(["in time", "last"]);
});

test("topics that the application subscribed a connection to remain after a refresh of its token", async () => {
  const client = await connectFanwire(pusher.url, {
    token: await token({ sub: "ida", topics: ["own"] }),
    topic: "own",
  });
  const [workerId = "", connectionId] = client.welcome.connection.split(".");
  const control = (command: "subscribe" | "unsubscribe", topic: string) =>
    askWorker(bus, workerId, { command, connectionId: Number(connectionId), topic });
  const refresh = async () => client.ask({ command: "refresh", token: await token({ sub: "ida" }) });
  for (const topic of ["own", "given", "taken.*", "left"])
    expect(await control("subscribe", topic)).toEqual({ outcome: "done" });
  await control("unsubscribe", "taken.*");
  await client.ask({ command: "unsubscribe", topic: "left" });

  expect(await refresh()).toEqual({ type: "reply", id: expect.anything(), ok: true });

  for (const topic of ["taken.1", "left", "own", "given"]) await publishToTopic(bus, topic, topic);
  await until("all publications arrive", () => client.data().includes("given"));
  expect(client.data()).toEqual(["own", "given"]);
  expect(await client.ask({ command: "subscribe", topic: "left" })).toMatchObject({ ok: false });
});

test("a connection without a token gets its user and grant by a refresh, and keeps the user", async () => {
  const user: DurableTarget = { kind: "user", user: "jana" };
  const since = await history.append(user, "read before");
  await history.append(user, "missed");
  const client = await connectFanwire(pusher.url);
  const toUser = (content: string) => bus.publish(subjects.live(user), Buffer.from(content));

  const jwt = await token({ sub: "jana", topics: ["a"], publish: ["a"] });
  const [refreshed, subscribed, published] = await client.askTogether([
    { command: "refresh", token: jwt, since },
    { command: "subscribe", topic: "a" },
    { command: "publish", topic: "a", data: "own" },
  ]);
  await toUser("live");

  expect(refreshed).toMatchObject({ ok: true, recovered: true });
  expect([subscribed?.ok, published?.ok]).toEqual([true, true]);
  await until("all publications arrive", () => client.publications.length >= 3);
  expect(client.data().filter((data) => data !== "own")).toEqual(["missed", "live"]);
  const [worker = ""] = client.welcome.connection.split(".");
  const countConnections = async () =>
    (await askWorker(bus, worker, { command: "find-user", user: "jana" })) as { count: number };
  expect(await countConnections()).toMatchObject({ count: 1 });

  for (const other of [{ sub: "karl" }, {}]) {
    expect(await client.ask({ command: "refresh", token: await token(other) })).toMatchObject({
      error: { code: "unauthorized" },
    });
  }
  expect(await client.ask({ command: "refresh", token: await token({ sub: "jana" }) })).toEqual({
    type: "reply",
    id: expect.anything(),
    ok: true,
    dropped: ["a"],
  });
  await toUser("once");
  await publishToEveryone(bus, "end");
  await until("the last publication arrives", () => client.data().includes("end"));
  expect(client.data().filter((data) => data === "once")).toEqual(["once"]);
  client.socket.close();
  await until("the user has no connection", async () => (await countConnections()).count === 0);
});

test("a refresh adds a user to a token without one, and the new token expires", async () => {
  const client = await connectFanwire(pusher.url, { token: await token({ topics: ["a"] }) });
  const brief = await token({ sub: "lena", expiresInSeconds: 3 });

  expect(await client.ask({ command: "refresh", token: brief })).toMatchObject({ ok: true });
  await bus.publish(subjects.live({ kind: "user", user: "lena" }), Buffer.from("for lena"));

  await until("the publication arrives", () => client.data().includes("for lena"));
  await until("the connection is closed", () => client.close);
  expect(client.close?.code).toBe(4401);
});
