import { expect, test, vi } from "vitest";
import { useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, pong, publication, reconnect, recordOpen, settled } from "../test-data/fake-web-socket.ts";

useFakeTime();

const copy = (subscription: string, position: string, resume?: string) =>
  publication({ topic: "a.b", subscription, position, ...(resume !== undefined && { resume }) });

test("the client resumes from the position in a reply to a ping, unless it is older", async () => {
  const { client } = await recordOpen();
  for (const older of [{ position: "e-17" }, { position: "e-9" }, {}]) {
    FakeWebSocket.last.deliver(pong(older));
    expect(client.position).toBe("e-17");
  }
});

test("without any publication the client resumes from the position of the welcome", async () => {
  const { client, states } = await recordOpen({}, { position: "e-10" });
  expect(states.at(-1)).toMatchObject({ recovered: null });
  expect(client.position).toBe("e-10");
  await reconnect();

  expect(FakeWebSocket.last.query.get("since")).toBe("e-10");
});

test("the position of the welcome does not skip missed publications that have not arrived", async () => {
  const { client } = await recordOpen({ topics: ["a"], since: "e-10" }, { position: "e-20", recovered: true });
  FakeWebSocket.last.deliver(publication({ topic: "a", position: "e-14" }));
  await reconnect({ position: "e-25", recovered: false });

  expect(FakeWebSocket.last.query.get("since")).toBe("e-14");
  expect(client.position).toBe("e-25");
});

test("positions of a recreated history replace older ones", async () => {
  const { client } = await recordOpen({ since: "old-900" }, { position: "new-3", recovered: false });
  FakeWebSocket.last.deliver(publication({ position: "new-4" }));

  expect(client.position).toBe("new-4");
});

test("the position of the client is that of a topic that catches up, until it has", async () => {
  const { client } = await recordOpen({ topics: ["a"] }, { position: "e-100" });
  const subscribed = client.subscribe("b", { since: "e-10" });
  await settled();
  expect(FakeWebSocket.last.commands.at(-1)).toMatchObject({ topic: "b", since: "e-10" });
  FakeWebSocket.last.reply("subscribe", { recovered: true, position: "e-10" });
  expect(await subscribed).toEqual({ recovered: true });

  expect(client.position).toBe("e-10");
  FakeWebSocket.last.deliver(publication({ topic: "b", since: "e-20", recovered: true }));
  expect(client.position).toBe("e-20");
  FakeWebSocket.last.deliver(publication({ topic: "b", since: "e-104", recovered: true }));
  expect(client.position).toBe("e-100");
  FakeWebSocket.last.deliver(publication({ topic: "b", position: "e-110" }));
  expect(client.position).toBe("e-110");
});

test("subscriptions that the client does not have, and that catch up, do not change the position", async () => {
  const { client } = await recordOpen({ topics: ["a"], since: "e-1000" }, { position: "e-5000", recovered: true });
  void client.subscribe("b");
  await settled();
  FakeWebSocket.last.reply("subscribe", { position: "e-5000" });
  void client.unsubscribe("b");

  FakeWebSocket.last.deliver(publication({ topic: "a", position: "e-1500", recovered: true }));
  FakeWebSocket.last.deliver(publication({ topic: "b", since: "e-5001", recovered: true }));
  FakeWebSocket.last.deliver(publication({ topic: "of-the-application", since: "e-5002", recovered: true }));
  expect(client.position).toBe("e-1500");
  FakeWebSocket.last.deliver(publication({ topic: "of-the-application", position: "e-5003" }));
  expect(client.position).toBe("e-5003");
});

test("a topic that was catching up resumes from its own position", async () => {
  const { client, states } = await recordOpen({ topics: ["a"] }, { position: "e-100" });
  void client.subscribe("b", { since: "e-10" });
  await settled();
  // In one frame, because messages after the reply must find the subscription settled.
  const { id } = FakeWebSocket.last.commands.at(-1) ?? {};
  FakeWebSocket.last.deliver(
    { type: "reply", id, ok: true, recovered: true, position: "e-10" },
    publication({ topic: "b", since: "e-20", recovered: true }),
  );
  await reconnect({ position: "e-120", recovered: true });

  expect(FakeWebSocket.last.query.get("since")).toBe("e-100");
  expect(FakeWebSocket.last.queriedTopics).toEqual(["a"]);
  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "b", since: "e-20" }]);
  expect(states.at(-1)).toEqual({ state: "connecting" });
  FakeWebSocket.last.reply("subscribe", { recovered: false, position: "e-120" });
  await settled();
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: false });

  FakeWebSocket.last.deliver(publication({ topic: "b", position: "e-121" }));
  expect(client.position).toBe("e-121");
});

test("after a reconnect a partly lost publication is delivered to the subscriptions that lack it, and to no other", async () => {
  const { client, publications } = await recordOpen({ topics: ["a.b", "a.*", ">"] });
  FakeWebSocket.last.deliver(copy("a.*", "e-11", "e-10.1"), copy(">", "e-11", "e-10.2"), copy("a.b", "e-11"));
  FakeWebSocket.last.deliver(copy("a.*", "e-12", "e-11.1000000000"));
  expect(client.position).toBe("e-11.1000000000");
  await reconnect({ position: "e-11.1000000000", recovered: true });

  expect(FakeWebSocket.last.query.get("since")).toBe("e-11.1000000000");
  // The worker may repeat the copy that the client has.
  FakeWebSocket.last.deliver(copy("a.*", "e-12", "e-11.1000000000"));
  FakeWebSocket.last.deliver(copy(">", "e-12", "e-11.2000000000"), copy("a.b", "e-12"));
  const received = publications.map(({ subscription, position }) => `${subscription} ${position}`);
  expect(received.slice(3)).toEqual(["a.* e-12", "> e-12", "a.b e-12"]);
  expect(client.position).toBe("e-12");
});

test("the reply to a ping advances the position of all topics", async () => {
  const { client } = await recordOpen({ topics: ["a"] }, { position: "e-11" });
  void client.subscribe("b");
  await settled();
  FakeWebSocket.last.reply("subscribe", { position: "e-11" });

  FakeWebSocket.last.deliver(pong({ position: "e-12" }));
  await reconnect();

  expect(FakeWebSocket.last.query.get("since")).toBe("e-12");
  expect(FakeWebSocket.last.queriedTopics).toEqual(["a", "b"]);
});

test("a user and a topic without new publications do not hold back the position of a busy client", async () => {
  FakeWebSocket.answersPings = false;
  const { client } = await recordOpen(
    { token: "x".repeat(5_000), topics: ["busy", "quiet"], since: "e-10" },
    { position: "e-20", recovered: true },
  );
  for (const { id } of FakeWebSocket.last.commands)
    FakeWebSocket.last.deliver({ type: "reply", id, ok: true, recovered: true, position: "e-10" });
  const isPinged = () => FakeWebSocket.last.commands.some(({ command }) => command === "ping");

  for (let second = 1; second <= 25; second++) {
    expect([client.position, isPinged()]).toEqual(["e-10", false]);
    await vi.advanceTimersByTimeAsync(1_000);
    FakeWebSocket.last.deliver(publication({ topic: "busy", position: `e-${20 + second}` }));
  }
  expect(isPinged()).toBe(true);
  FakeWebSocket.last.reply("ping", { position: "e-45" });

  expect(client.position).toBe("e-45");
});

test.each([
  ["a known topic", false],
  ["a topic that was unsubscribed", true],
])("subscribe with since restarts %s from there, and no other topic", async (_, isUnsubscribed) => {
  const { client, publications } = await recordOpen({ topics: ["a", "b"] }, { position: "e-10" });
  if (isUnsubscribed) void client.unsubscribe("a");
  const again = client.subscribe("a", { since: "e-2" });
  await settled();
  expect(FakeWebSocket.last.commands).toMatchObject([
    { command: "unsubscribe", topic: "a" },
    { command: "subscribe", topic: "a", since: "e-2" },
  ]);
  // From the previous subscription: it advances the connection, but not the position from which this topic restarts.
  FakeWebSocket.last.deliver(publication({ topic: "a", position: "e-11" }));
  expect(client.position).toBe("e-2");
  await reconnect({ position: "e-11", recovered: true });

  expect(FakeWebSocket.last.query.get("since")).toBe("e-11");
  expect(FakeWebSocket.last.queriedTopics).toEqual(["b"]);
  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "a", since: "e-2" }]);
  FakeWebSocket.last.reply("subscribe", { recovered: true, position: "e-11" });
  expect(await again).toEqual({ recovered: true });
  const repeated = ["e-3", "e-11"].map((position) => publication({ topic: "a", position }));
  FakeWebSocket.last.deliver(...repeated);
  expect(publications.map(({ position }) => position)).toEqual(["e-11", "e-3", "e-11"]);
});

test("the last since wins over replies to earlier subscribe commands", async () => {
  const { client } = await recordOpen({}, { position: "e-10" });
  const outcomes = [
    client.subscribe("a"),
    client.subscribe("a", { since: "e-4" }),
    client.subscribe("a", { since: "e-2" }),
  ];
  await settled();
  const ids = FakeWebSocket.last.commands.flatMap(({ id, command }) => (command === "subscribe" ? [id] : []));
  for (const id of ids.slice(0, 2)) FakeWebSocket.last.deliver({ type: "reply", id, ok: true, recovered: true });
  await reconnect({ position: "e-11", recovered: true });

  expect(FakeWebSocket.last.queriedTopics).toEqual([]);
  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "a", since: "e-2" }]);
  FakeWebSocket.last.reply("subscribe", { recovered: false });
  for (const outcome of outcomes) expect(await outcome).toEqual({ recovered: false });
});

test("subscribe with since restarts a known topic after the next reconnect as well", async () => {
  const { client } = await recordOpen({ topics: ["a"] }, { position: "e-10" });
  FakeWebSocket.last.end();
  void client.subscribe("a", { since: "e-2" });
  await reconnect({ position: "e-10", recovered: true });

  expect(FakeWebSocket.last.queriedTopics).toEqual([]);
  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "a", since: "e-2" }]);
});
