import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeWebSocket, reconnected, record, settled } from "../test-data/fake-web-socket.ts";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  FakeWebSocket.all.length = 0;
  FakeWebSocket.answersPings = true;
  FakeWebSocket.answersCommands = false;
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const publication = (more: object) => ({ type: "publication", event: "message", data: "hi", ...more });
const query = () => FakeWebSocket.last.url.searchParams;

test("the delay is a random part of a bound that doubles to 30 seconds", async () => {
  const { states } = await record();
  for (const random of [1, 1, 1, 1, 1, 1, 0.5, 0]) {
    vi.mocked(Math.random).mockReturnValue(random);
    FakeWebSocket.last.end();
    await reconnected();
  }

  const delays = states.flatMap((state) => (state.state === "waiting" ? [state.retryInMs] : []));
  expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 15_000, 0]);
});

test("a connection that lasted starts over with short delays, one that did not goes on", async () => {
  const { states } = await record();
  const delayAfter = async (lastedMs: number) => {
    FakeWebSocket.last.welcome();
    await vi.advanceTimersByTimeAsync(lastedMs);
    FakeWebSocket.last.end(1012);
    const last = states.at(-1);
    await reconnected();
    return last?.state === "waiting" && last.retryInMs;
  };

  expect(await delayAfter(9_999)).toBe(1_000);
  expect(await delayAfter(0)).toBe(2_000);
  expect(await delayAfter(10_000)).toBe(1_000);
});

test("it does not connect before its time, and says why it waits", async () => {
  const { client, states } = await record();
  FakeWebSocket.last.end(1012, "the worker is restarting, come back");

  expect(states.at(-1)).toEqual({
    state: "waiting",
    retryInMs: 1_000,
    code: 1012,
    reason: "the worker is restarting, come back",
  });
  await vi.advanceTimersByTimeAsync(999);
  expect(FakeWebSocket.all).toHaveLength(1);
  expect(client.address).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1);
  expect(FakeWebSocket.all).toHaveLength(2);
});

test.each([4400, 4403, 4429, 4499, 1002, 1008])("code %i is final", async (code) => {
  const { client, states } = await record();
  FakeWebSocket.last.welcome();
  const subscribing = expect(client.subscribe("a")).rejects.toMatchObject({ code: "closed" });
  FakeWebSocket.last.end(code, "because");
  await subscribing;
  await vi.advanceTimersByTimeAsync(120_000);

  expect(FakeWebSocket.all).toHaveLength(1);
  expect(states.at(-1)).toEqual({ state: "closed", code, reason: "because" });
  expect(vi.getTimerCount()).toBe(0);
});

test("the position in a reply to a ping is gone on from, unless it is behind", async () => {
  const { client } = await record();
  FakeWebSocket.last.welcome();
  FakeWebSocket.last.say({ type: "reply", id: "ping", ok: true, position: "e-17" });
  expect(client.position).toBe("e-17");
  FakeWebSocket.last.say({ type: "reply", id: "ping", ok: true, position: "e-9" });
  expect(client.position).toBe("e-17");
  FakeWebSocket.last.say({ type: "reply", id: "ping", ok: true });
  expect(client.position).toBe("e-17");
});

test.each([1000, 1001, 1005, 1006, 1011, 1012, 4500])("after code %i it comes back", async (code) => {
  await record();
  FakeWebSocket.last.end(code);
  await reconnected();

  expect(FakeWebSocket.all).toHaveLength(2);
});

test("it goes on from the last position with all it follows, whether that was recovered or not", async () => {
  const { client, states } = await record({ topics: ["a"] });
  FakeWebSocket.last.welcome({ position: "e-10" });
  void client.subscribe("b.>");
  await settled();
  FakeWebSocket.last.reply("subscribe");
  FakeWebSocket.last.say(publication({ topic: "a", position: "e-12" }), publication({ topic: "a" }));
  FakeWebSocket.last.end();
  void client.subscribe("c");
  await client.unsubscribe("a");
  await reconnected();

  expect(query().get("since")).toBe("e-12");
  expect(query().getAll("topic")).toEqual(["b.>", "c"]);
  FakeWebSocket.last.welcome({ position: "e-20", recovered: true });
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: true });

  FakeWebSocket.last.end();
  await reconnected();
  FakeWebSocket.last.welcome({ position: "e-30", recovered: false });
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: false });
});

test("without any publication it goes on from where it was welcomed", async () => {
  const { client, states } = await record();
  FakeWebSocket.last.welcome({ position: "e-10" });
  expect(states.at(-1)).toMatchObject({ recovered: null });
  expect(client.position).toBe("e-10");
  FakeWebSocket.last.end();
  await reconnected();

  expect(query().get("since")).toBe("e-10");
});

test("what is still to come of what was missed is not skipped by the welcome", async () => {
  const { client } = await record({ topics: ["a"], since: "e-10" });
  FakeWebSocket.last.welcome({ position: "e-20", recovered: true });
  FakeWebSocket.last.say(publication({ topic: "a", position: "e-14" }));
  FakeWebSocket.last.end();
  await reconnected();

  expect(query().get("since")).toBe("e-14");
  FakeWebSocket.last.welcome({ position: "e-25", recovered: false });
  expect(client.position).toBe("e-25");
});

test("in another life of the history its positions count", async () => {
  const { client } = await record({ since: "old-900" });
  FakeWebSocket.last.welcome({ position: "new-3", recovered: false });
  FakeWebSocket.last.say(publication({ position: "new-4" }));

  expect(client.position).toBe("new-4");
});

test("a topic that catches up moves the position of the others neither back nor on", async () => {
  const { client } = await record({ topics: ["a"] });
  FakeWebSocket.last.welcome({ position: "e-100" });
  const subscribed = client.subscribe("b", { since: "e-10" });
  await settled();
  expect(FakeWebSocket.last.commands.at(-1)).toMatchObject({ topic: "b", since: "e-10" });
  FakeWebSocket.last.reply("subscribe", { ok: true, recovered: true, position: "e-10" });
  expect(await subscribed).toEqual({ recovered: true });

  FakeWebSocket.last.say(publication({ topic: "b", since: "e-20", recovered: true }));
  expect(client.position).toBe("e-100");
  FakeWebSocket.last.say(publication({ topic: "b", since: "e-104", recovered: true }));
  expect(client.position).toBe("e-100");
  FakeWebSocket.last.say(publication({ topic: "b", position: "e-110" }));
  expect(client.position).toBe("e-110");
});

test("a topic that was catching up goes on from its own position", async () => {
  const { client, states } = await record({ topics: ["a"] });
  FakeWebSocket.last.welcome({ position: "e-100" });
  void client.subscribe("b", { since: "e-10" });
  await settled();
  // In one frame: what follows the reply must find it settled.
  const { id } = FakeWebSocket.last.commands.at(-1) ?? {};
  FakeWebSocket.last.say(
    { type: "reply", id, ok: true, recovered: true, position: "e-10" },
    publication({ topic: "b", since: "e-20", recovered: true }),
  );
  FakeWebSocket.last.end();
  await reconnected();

  expect(query().get("since")).toBe("e-100");
  expect(query().getAll("topic")).toEqual(["a"]);
  FakeWebSocket.last.welcome({ position: "e-120", recovered: true });
  await settled();
  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "b", since: "e-20" }]);
  expect(states.at(-1)).toEqual({ state: "connecting" });
  FakeWebSocket.last.reply("subscribe", { ok: true, recovered: false, position: "e-120" });
  await settled();
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: false });

  FakeWebSocket.last.say(publication({ topic: "b", position: "e-121" }));
  expect(client.position).toBe("e-121");
});

test("topics that do not fit into a URL are followed by commands", async () => {
  FakeWebSocket.answersCommands = true;
  const topics = Array.from({ length: 100 }, (_, at) => `some.topic.with.a.name.${at}`);
  const { client, states } = await record({ topics });
  expect(FakeWebSocket.last.url.href.length).toBeLessThanOrEqual(1_200);
  const asked = query().getAll("topic");
  FakeWebSocket.last.welcome();
  await vi.advanceTimersByTimeAsync(3_000);

  expect([...asked, ...FakeWebSocket.last.commands.map(({ topic }) => topic)]).toEqual(topics);
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: null });

  FakeWebSocket.last.end();
  await reconnected();
  FakeWebSocket.last.welcome({ recovered: true });
  await vi.advanceTimersByTimeAsync(3_000);
  expect(FakeWebSocket.last.commands).toHaveLength(topics.length - query().getAll("topic").length);
  for (const command of FakeWebSocket.last.commands) expect(command.since).toBe(client.position);
});

test("a topic that may not be followed again is given up, and the caller is told", async () => {
  const { client, refused, states } = await record();
  const subscribing = expect(client.subscribe("secret")).rejects.toMatchObject({ code: "forbidden" });
  FakeWebSocket.last.welcome();
  await settled();
  FakeWebSocket.last.reply("subscribe", { ok: false, error: { code: "forbidden", message: "no" } });
  await subscribing;
  await settled();

  expect(refused).toEqual(["secret: forbidden"]);
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: null });
  FakeWebSocket.last.end();
  await reconnected();
  expect(query().getAll("topic")).toEqual([]);
});

test("a topic that cannot be followed again for now is worth another connection", async () => {
  const topics = Array.from({ length: 100 }, (_, at) => `some.topic.with.a.name.${at}`);
  const { refused } = await record({ topics });
  FakeWebSocket.last.welcome();
  await settled();
  FakeWebSocket.last.reply("subscribe", { ok: false, error: { code: "unavailable", message: "NATS is away" } });
  await reconnected();

  expect(FakeWebSocket.all).toHaveLength(2);
  expect(refused).toEqual([]);
});

test("a topic that was unsubscribed while it connected is followed no more", async () => {
  const { client } = await record({ topics: ["a", "b"] });
  await client.unsubscribe("a");
  FakeWebSocket.last.welcome();
  await settled();

  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "unsubscribe", topic: "a" }]);
});

test("a topic subscribed while disconnected waits for the connection", async () => {
  const { client } = await record();
  FakeWebSocket.last.end();
  const subscribed = client.subscribe("a");
  const lost = client.subscribe("b");
  const unsubscribed = expect(lost).rejects.toMatchObject({ code: "closed" });
  await client.unsubscribe("b");
  await unsubscribed;
  await reconnected();
  FakeWebSocket.last.welcome({ recovered: true });

  expect(await subscribed).toEqual({ recovered: true });
});

test("a topic whose answer was lost with the connection is asked for again", async () => {
  const { client } = await record();
  FakeWebSocket.last.welcome();
  const subscribed = client.subscribe("a");
  await settled();
  FakeWebSocket.last.end();
  await reconnected();
  expect(query().getAll("topic")).toEqual(["a"]);
  FakeWebSocket.last.welcome({ recovered: true });

  expect(await subscribed).toEqual({ recovered: true });
});

test("when nothing was heard for 25 seconds it pings, and reconnects when that is not answered in 10", async () => {
  FakeWebSocket.answersPings = false;
  const { states } = await record();
  FakeWebSocket.last.welcome();
  await vi.advanceTimersByTimeAsync(20_000);
  FakeWebSocket.last.say(publication({}));
  await vi.advanceTimersByTimeAsync(24_999);
  expect(FakeWebSocket.last.sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(FakeWebSocket.last.commands).toEqual([{ id: "ping", command: "ping" }]);
  FakeWebSocket.last.reply("ping");

  await vi.advanceTimersByTimeAsync(25_000);
  expect(FakeWebSocket.last.commands).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(9_999);
  expect(states.at(-1)).toMatchObject({ state: "open" });
  await vi.advanceTimersByTimeAsync(1);

  const [first] = FakeWebSocket.all;
  expect(states.at(-1)).toMatchObject({ state: "waiting", code: 1006, reason: "the worker does not answer" });
  expect(first?.closedWith).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1_000);
  FakeWebSocket.last.welcome();
  first?.say(publication({}));
  first?.end(4400);
  expect(states.at(-1)).toMatchObject({ state: "open" });
});

test("a connection that is not welcomed in 10 seconds is given up", async () => {
  const { states } = await record();
  await vi.advanceTimersByTimeAsync(10_000);

  expect(states.at(-1)).toMatchObject({ state: "waiting", reason: "no welcome in time" });
  expect(FakeWebSocket.last.closedWith).toBeUndefined();
});

const copy = (subscription: string, position: string, resume?: string) =>
  publication({ topic: "a.b", subscription, position, ...(resume !== undefined && { resume }) });

test("after a reconnect a partly lost publication is delivered to the subscriptions that lack it, and to no other", async () => {
  const { client, publications } = await record({ topics: ["a.b", "a.*", ">"] });
  FakeWebSocket.last.welcome();
  FakeWebSocket.last.say(copy("a.*", "e-11", "e-10.1"), copy(">", "e-11", "e-10.2"), copy("a.b", "e-11"));
  FakeWebSocket.last.say(copy("a.*", "e-12", "e-11.1000000000"));
  expect(client.position).toBe("e-11.1000000000");
  FakeWebSocket.last.end();
  await reconnected();

  expect(query().get("since")).toBe("e-11.1000000000");
  FakeWebSocket.last.welcome({ position: "e-11.1000000000", recovered: true });
  FakeWebSocket.last.say(copy(">", "e-12", "e-11.2000000000"), copy("a.b", "e-12"));
  const received = publications.map(({ subscription, position }) => `${subscription} ${position}`);
  expect(received.slice(3)).toEqual(["a.* e-12", "> e-12", "a.b e-12"]);
  expect(client.position).toBe("e-12");
});

test("the reply to a ping moves the position of all topics on", async () => {
  const { client } = await record({ topics: ["a"] });
  FakeWebSocket.last.welcome({ position: "e-11" });
  void client.subscribe("b");
  await settled();
  FakeWebSocket.last.reply("subscribe", { ok: true, position: "e-11" });

  FakeWebSocket.last.say({ type: "reply", id: "ping", ok: true, position: "e-12" });
  FakeWebSocket.last.end();
  await reconnected();

  expect(query().get("since")).toBe("e-12");
  expect(query().getAll("topic")).toEqual(["a", "b"]);
});

test("subscribe with since restarts a known topic from there, and leaves the others alone", async () => {
  const { client, publications } = await record({ topics: ["a", "b"] });
  FakeWebSocket.last.welcome({ position: "e-10" });
  const again = client.subscribe("a", { since: "e-2" });
  await settled();
  expect(FakeWebSocket.last.commands).toMatchObject([
    { command: "unsubscribe", topic: "a" },
    { command: "subscribe", topic: "a", since: "e-2" },
  ]);
  // From the previous subscription: it advances the connection, but not the position from which this topic restarts.
  FakeWebSocket.last.say(publication({ topic: "a", position: "e-11" }));
  expect(client.position).toBe("e-11");
  FakeWebSocket.last.end();
  await reconnected();

  expect(query().getAll("topic")).toEqual(["b"]);
  FakeWebSocket.last.welcome({ position: "e-11", recovered: true });
  await settled();
  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "a", since: "e-2" }]);
  FakeWebSocket.last.reply("subscribe", { ok: true, recovered: true, position: "e-11" });
  expect(await again).toEqual({ recovered: true });
  FakeWebSocket.last.say(publication({ topic: "a", position: "e-3" }), publication({ topic: "a", position: "e-11" }));
  expect(publications.map(({ position }) => position)).toEqual(["e-11", "e-3", "e-11"]);
});

test("the last since wins over replies to earlier subscribe commands", async () => {
  const { client } = await record();
  FakeWebSocket.last.welcome({ position: "e-10" });
  const outcomes = [
    client.subscribe("a"),
    client.subscribe("a", { since: "e-4" }),
    client.subscribe("a", { since: "e-2" }),
  ];
  await settled();
  const ids = FakeWebSocket.last.commands.flatMap(({ id, command }) => (command === "subscribe" ? [id] : []));
  for (const id of ids.slice(0, 2)) FakeWebSocket.last.say({ type: "reply", id, ok: true, recovered: true });
  FakeWebSocket.last.end();
  await reconnected();

  expect(query().getAll("topic")).toEqual([]);
  FakeWebSocket.last.welcome({ position: "e-11", recovered: true });
  await settled();
  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "a", since: "e-2" }]);
  FakeWebSocket.last.reply("subscribe", { ok: true, recovered: false });
  expect(await Promise.all(outcomes)).toEqual([{ recovered: false }, { recovered: false }, { recovered: false }]);
});

test("subscribe with since restarts a known topic after the next reconnect as well", async () => {
  const { client } = await record({ topics: ["a"] });
  FakeWebSocket.last.welcome({ position: "e-10" });
  FakeWebSocket.last.end();
  void client.subscribe("a", { since: "e-2" });
  await reconnected();

  expect(query().getAll("topic")).toEqual([]);
  FakeWebSocket.last.welcome({ position: "e-10", recovered: true });
  await settled();
  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "a", since: "e-2" }]);
});
