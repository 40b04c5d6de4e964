import { expect, test, vi } from "vitest";
import { pendingTimers, useFakeTime } from "../test-data/fake-time.ts";
import {
  FakeWebSocket,
  publication,
  reconnect,
  reconnected,
  record,
  recordOpen,
  settled,
} from "../test-data/fake-web-socket.ts";

useFakeTime();

test("backoff with jitter: the delay is a random part of a bound that doubles to 30 seconds", async () => {
  const { states } = await record();
  for (const random of [1, 1, 1, 1, 1, 1, 0.5, 0]) {
    vi.mocked(Math.random).mockReturnValue(random);
    FakeWebSocket.last.end();
    await reconnected();
  }

  const delays = states.flatMap((state) => (state.state === "waiting" ? [state.retryInMs] : []));
  expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 15_000, 0]);
});

test("a connection of ten seconds resets the backoff, a shorter one does not", async () => {
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

test("the client does not reconnect before the delay, and reports the reason", async () => {
  const { client, states } = await record();
  FakeWebSocket.last.end(1012, "worker restarting, reconnect");

  const reason = "worker restarting, reconnect";
  expect(states.at(-1)).toEqual({ state: "waiting", retryInMs: 1_000, code: 1012, reason });
  await vi.advanceTimersByTimeAsync(999);
  expect(FakeWebSocket.all).toHaveLength(1);
  expect(client.address).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1);
  expect(FakeWebSocket.all).toHaveLength(2);
});

test.each([4400, 4403, 4429, 4499, 1002, 1008])("after the welcome code %i is final", async (code) => {
  const { client, states } = await recordOpen({ topics: ["a"] });
  const subscribing = expect(client.subscribe("b")).rejects.toMatchObject({ code: "closed" });
  FakeWebSocket.last.end(code, "because");
  await subscribing;
  await vi.advanceTimersByTimeAsync(120_000);

  expect(FakeWebSocket.all).toHaveLength(1);
  expect(states.at(-1)).toEqual({ state: "closed", code, reason: "because" });
  expect(pendingTimers()).toBe(0);
});

test.each([1000, 1001, 1005, 1006, 1011, 1012, 4500])("after code %i the client reconnects", async (code) => {
  await record();
  FakeWebSocket.last.end(code);
  await reconnected();

  expect(FakeWebSocket.all).toHaveLength(2);
});

test("the client resumes all subscriptions from the last position, recovered or not", async () => {
  const { client, states } = await recordOpen({ topics: ["a"] }, { position: "e-10" });
  void client.subscribe("b.>");
  await settled();
  FakeWebSocket.last.reply("subscribe");
  FakeWebSocket.last.deliver(publication({ topic: "a", position: "e-12" }), publication({ topic: "a" }));
  FakeWebSocket.last.end();
  void client.subscribe("c");
  await client.unsubscribe("a");
  await reconnected();

  expect(FakeWebSocket.last.query.get("since")).toBe("e-12");
  expect(FakeWebSocket.last.queriedTopics).toEqual(["b.>", "c"]);
  FakeWebSocket.last.welcome({ position: "e-20", recovered: true });
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: true });

  await reconnect({ position: "e-30", recovered: false });
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: false });
});

test("topics that do not fit into a URL are subscribed by commands", async () => {
  FakeWebSocket.answersCommands = true;
  const topics = Array.from({ length: 100 }, (_, at) => `some.topic.with.a.name.${at}`);
  const { client, states } = await record({ topics });
  expect(FakeWebSocket.last.url.href.length).toBeLessThanOrEqual(1_200);
  const asked = FakeWebSocket.last.queriedTopics;
  FakeWebSocket.last.welcome();
  await vi.advanceTimersByTimeAsync(3_000);

  expect([...asked, ...FakeWebSocket.last.commands.map(({ topic }) => topic)]).toEqual(topics);
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: null });

  await reconnect({ recovered: true });
  await vi.advanceTimersByTimeAsync(3_000);
  expect(FakeWebSocket.last.commands).toHaveLength(topics.length - FakeWebSocket.last.queriedTopics.length);
  for (const command of FakeWebSocket.last.commands) expect(command.since).toBe(client.position);
});

test("a topic that the worker refuses is dropped, and onRefused is called", async () => {
  const { client, refused, states } = await record();
  const subscribing = expect(client.subscribe("secret")).rejects.toMatchObject({ code: "forbidden" });
  FakeWebSocket.last.welcome();
  await settled();
  FakeWebSocket.last.refuse("subscribe", "forbidden");
  await subscribing;
  await settled();

  expect(refused).toEqual(["secret: forbidden"]);
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: null });
  await reconnect();
  expect(FakeWebSocket.last.queriedTopics).toEqual([]);
});

test("a subscription that fails with a passing error makes the client reconnect", async () => {
  const topics = Array.from({ length: 100 }, (_, at) => `some.topic.with.a.name.${at}`);
  const { refused } = await recordOpen({ topics });
  await settled();
  FakeWebSocket.last.refuse("subscribe", "unavailable");
  await reconnected();

  expect(FakeWebSocket.all).toHaveLength(2);
  expect(refused).toEqual([]);
});

test("a topic that was unsubscribed during the handshake is unsubscribed after the welcome", async () => {
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

test("a topic subscribed while the client connects resumes from the last position too", async () => {
  const { client } = await recordOpen({ topics: ["a"] }, { position: "e-10" });
  FakeWebSocket.last.end();
  await reconnected();
  const subscribed = client.subscribe("b");
  FakeWebSocket.last.welcome({ position: "e-20", recovered: true });
  await settled();

  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "b", since: "e-10" }]);
  FakeWebSocket.last.reply("subscribe", { recovered: true, position: "e-10" });
  expect(await subscribed).toEqual({ recovered: true });
});

test("a topic whose reply was lost with the connection is subscribed again", async () => {
  const { client } = await recordOpen();
  const subscribed = client.subscribe("a");
  await settled();
  await reconnect({ recovered: true });

  expect(FakeWebSocket.last.queriedTopics).toEqual(["a"]);
  expect(await subscribed).toEqual({ recovered: true });
});

test("heartbeat: the client pings every 25 seconds, and reconnects after 10 seconds without a message", async () => {
  FakeWebSocket.answersPings = false;
  const { states } = await recordOpen();
  await vi.advanceTimersByTimeAsync(20_000);
  FakeWebSocket.last.deliver(publication({}));
  await vi.advanceTimersByTimeAsync(4_999);
  expect(FakeWebSocket.last.sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(FakeWebSocket.last.commands).toEqual([{ id: "ping", command: "ping" }]);
  await vi.advanceTimersByTimeAsync(9_999);
  FakeWebSocket.last.deliver(publication({}));

  await vi.advanceTimersByTimeAsync(25_000);
  expect(FakeWebSocket.last.commands).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(9_999);
  expect(states.at(-1)).toMatchObject({ state: "open" });
  await vi.advanceTimersByTimeAsync(1);

  const [first] = FakeWebSocket.all;
  expect(states.at(-1)).toMatchObject({ state: "waiting", code: 1006, reason: "the worker does not reply" });
  expect(first?.closedWith).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1_000);
  FakeWebSocket.last.welcome();
  first?.deliver(publication({}));
  first?.end(4400);
  expect(states.at(-1)).toMatchObject({ state: "open" });
});

test("a connection without a welcome for 10 seconds is abandoned", async () => {
  const { states } = await record();
  await vi.advanceTimersByTimeAsync(10_000);

  expect(states.at(-1)).toMatchObject({ state: "waiting", reason: "no welcome in time" });
  expect(FakeWebSocket.last.closedWith).toBeUndefined();
});
