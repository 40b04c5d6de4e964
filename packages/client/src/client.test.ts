import { expect, test, vi } from "vitest";
import { catchMicrotasks, pendingTimers, useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, publication, reconnect, record, recordOpen, settled } from "../test-data/fake-web-socket.ts";
import { connect } from "./index.ts";

useFakeTime();

test("the client connects with topics, token and position, and is open after the welcome", async () => {
  const { client, states } = await record({ topics: ["orders.7", "news.>"], token: "t", since: "e-3" });
  const socket = FakeWebSocket.last;

  expect(client.state).toBe("connecting");
  expect(socket.protocol).toBe("fanwire.v1");
  expect(FakeWebSocket.last.queriedTopics).toEqual(["orders.7", "news.>"]);
  expect(Object.fromEntries(FakeWebSocket.last.query)).toMatchObject({ token: "t", since: "e-3" });
  socket.welcome({ recovered: true });

  expect(client.state).toBe("open");
  expect(client.address).toBe("k3v9q0xa.17");
  expect(states).toEqual([{ state: "connecting" }, { state: "open", address: "k3v9q0xa.17", recovered: true }]);
});

test("an http URL becomes a ws URL and keeps its query", async () => {
  await record({ url: new URL("https://pusher.example/push?tenant=7") });

  expect(FakeWebSocket.last.url.href).toBe("wss://pusher.example/push?tenant=7");
});

test("connect throws for an invalid URL and without a WebSocket", () => {
  const onPublication = () => {};

  expect(() => connect({ url: "not a URL", WebSocket: FakeWebSocket, onPublication })).toThrow(TypeError);
  vi.stubGlobal("WebSocket", undefined);
  expect(() => connect({ url: "ws://pusher.example/", onPublication })).toThrow("pass one");
});

test("a WebSocket constructor that throws closes the client", async () => {
  class Forbidden extends FakeWebSocket {
    constructor(url: string, protocol: string | string[]) {
      super(url, protocol);
      throw new Error("mixed content");
    }
  }
  const { client, states } = await record({ WebSocket: Forbidden });

  expect(client.state).toBe("closed");
  expect(states.at(-1)).toMatchObject({ reason: "Error: mixed content" });
});

test("publications of a frame arrive in order, text as text and base64 as bytes", async () => {
  const { client, publications } = await record();
  FakeWebSocket.last.deliver(
    { type: "welcome", connection: "a.1", recovered: null },
    publication({ topic: "orders.7", subscription: "orders.*", event: "paid", position: "e-11", id: "x" }),
    publication({ data: "/wD+", encoding: "base64", recovered: true, unheardOf: 1 }),
  );

  const addressed = { topic: "orders.7", subscription: "orders.*", position: "e-11", id: "x" };
  expect(publications).toEqual([
    { ...addressed, event: "paid", data: "hi", recovered: false },
    { event: "message", data: Uint8Array.of(255, 0, 254), recovered: true },
  ]);
  expect(client.position).toBe("e-11");
});

test("unknown messages are ignored", async () => {
  const { client, publications } = await recordOpen();

  FakeWebSocket.last.sayBytes();
  for (const unknown of ["", "{", "null", "7", { type: "unheard-of" }, { type: "reply", id: 99, ok: true }])
    FakeWebSocket.last.deliver(unknown, publication());

  expect(publications.map(({ data }) => data)).toEqual(Array(6).fill("hi"));
  expect(client.state).toBe("open");
});

test("an error in a callback does not affect other publications", async () => {
  const thrown = catchMicrotasks();
  const received: unknown[] = [];
  await recordOpen({
    onPublication: ({ data }) => {
      received.push(data);
      if (data === "bad") throw new Error("mine");
    },
  });

  FakeWebSocket.last.deliver(publication({ data: "bad" }), publication({ data: "good" }));
  await settled();

  expect(received).toEqual(["bad", "good"]);
  expect(thrown).toEqual([new Error("mine")]);
});

test("subscribe and unsubscribe resolve with the reply of the worker", async () => {
  const { client } = await recordOpen();

  const subscribed = client.subscribe("a");
  await settled();
  expect(FakeWebSocket.last.commands).toEqual([{ id: expect.anything(), command: "subscribe", topic: "a" }]);
  FakeWebSocket.last.reply("subscribe");
  expect(await subscribed).toEqual({ recovered: null });
  expect(await client.subscribe("a")).toEqual({ recovered: null });
  expect(FakeWebSocket.last.commands).toHaveLength(1);

  const unsubscribed = client.unsubscribe("a");
  await settled();
  FakeWebSocket.last.reply("unsubscribe");
  await unsubscribed;
  expect(FakeWebSocket.last.commands.at(-1)).toMatchObject({ command: "unsubscribe", topic: "a" });
});

test("a refused subscription rejects and is not retried", async () => {
  const { client } = await recordOpen();

  const subscribed = client.subscribe("secret");
  const outcome = expect(subscribed).rejects.toMatchObject({ name: "FanwireError", code: "forbidden", message: "no" });
  await settled();
  FakeWebSocket.last.refuse("subscribe", "forbidden");
  await outcome;
  await reconnect();

  expect(FakeWebSocket.last.queriedTopics).toEqual([]);
});

test("a publication is confirmed, refused, or times out", async () => {
  const { client } = await recordOpen({ commandTimeoutMs: 3_000 });

  const confirmed = client.publish("chat", "hello", { event: "said" });
  await settled();
  const command = { command: "publish", topic: "chat", data: "hello", event: "said" };
  expect(FakeWebSocket.last.commands.at(-1)).toMatchObject(command);
  FakeWebSocket.last.reply("publish");
  await confirmed;

  const refused = expect(client.publish("chat", "x")).rejects.toMatchObject({ code: "unavailable" });
  await settled();
  FakeWebSocket.last.refuse("publish", "unavailable");
  await refused;

  const late = expect(client.publish("chat", "x")).rejects.toMatchObject({ code: "timeout" });
  await vi.advanceTimersByTimeAsync(3_000);
  await late;
  FakeWebSocket.last.reply("publish");
});

test("commands of one tick share a frame up to its maximum size", async () => {
  FakeWebSocket.answersCommands = true;
  const { client } = await recordOpen();

  for (let at = 0; at < 30; at++) void client.subscribe(`topic.${at}`);
  await settled();
  expect(FakeWebSocket.last.sent).toHaveLength(1);
  expect(FakeWebSocket.last.commands).toHaveLength(30);

  const large = "x".repeat(10_000);
  for (let at = 0; at < 3; at++) client.publish("chat", large).catch(() => {});
  await vi.advanceTimersByTimeAsync(1_000);
  expect(FakeWebSocket.last.sent).toHaveLength(4);
});

test("many subscribe and unsubscribe commands stay below the rate limit of workers, in order", async () => {
  FakeWebSocket.answersCommands = true;
  const { client } = await recordOpen();
  const topics = Array.from({ length: 128 }, (_, at) => `topic.${at}`);

  for (const topic of topics) client.subscribe(topic).catch(() => {});
  for (const topic of topics) void client.unsubscribe(topic);
  const counts = await commandsBySecond(8);

  expect(Math.max(...counts)).toBeLessThanOrEqual(65);
  expect(FakeWebSocket.last.commands.map(({ command, topic }) => `${command} ${topic}`)).toEqual([
    ...topics.map((topic) => `subscribe ${topic}`),
    ...topics.map((topic) => `unsubscribe ${topic}`),
  ]);
});

/** Returns the number of commands sent in each of the next seconds. */
async function commandsBySecond(seconds: number): Promise<number[]> {
  const counts: number[] = [];
  for (let second = 0; second < seconds; second++) {
    const before = FakeWebSocket.last.commands.length;
    await vi.advanceTimersByTimeAsync(1_000);
    counts.push(FakeWebSocket.last.commands.length - before);
  }
  return counts;
}

test("a burst of publications stays below the rate limit, and each is confirmed", async () => {
  FakeWebSocket.answersCommands = true;
  const { client } = await recordOpen();
  const texts = Array.from({ length: 200 }, (_, at) => String(at));

  const outcomes = Promise.all(texts.map((text) => client.publish("chat", text)));
  const counts = await commandsBySecond(6);

  expect(Math.max(...counts)).toBeLessThanOrEqual(65);
  expect(await outcomes).toHaveLength(200);
  expect(FakeWebSocket.last.commands.map(({ data }) => data)).toEqual(texts);
});

test("the number of unanswered commands is limited, because after a stall they arrive together", async () => {
  const { client } = await recordOpen();
  for (let at = 0; at < 100; at++) client.publish("chat", String(at)).catch(() => {});
  await vi.advanceTimersByTimeAsync(9_000);
  expect(FakeWebSocket.last.commands).toHaveLength(30);

  // After the stall the worker receives the unanswered ones and those of the next second together, fewer than 100.
  FakeWebSocket.answersCommands = true;
  for (const { id } of FakeWebSocket.last.commands) FakeWebSocket.last.deliver({ type: "reply", id, ok: true });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(FakeWebSocket.last.commands.length).toBeLessThanOrEqual(95);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(FakeWebSocket.last.commands).toHaveLength(100);
});

test("a publication before the connection is open is rejected, and does not delay later ones", async () => {
  const { client } = await record();
  const early = Array.from({ length: 40 }, () => client.publish("chat", "early").catch(({ code }) => code));
  FakeWebSocket.last.welcome();
  client.publish("chat", "in time").catch(() => {});
  await settled();

  expect(new Set(await Promise.all(early))).toEqual(new Set(["disconnected"]));
  expect(FakeWebSocket.last.commands.map(({ data }) => data)).toEqual(["in time"]);
});

test("at most a mebibyte of publications is buffered; more are rejected", async () => {
  const { client } = await recordOpen();
  const outcomes = Array.from({ length: 60 }, () => client.publish("chat", "x".repeat(60_000)));

  const codes = Promise.all(outcomes.map((outcome) => outcome.then(String, ({ code }) => code)));
  await settled();
  client.close();

  // Thirty are sent, and seventeen fit into the buffer.
  expect((await codes).map((code) => code === "busy").indexOf(true)).toBe(30 + 17);
});

test("a subscription that waited for the rate limit when the connection was lost is made on the next one", async () => {
  const { client } = await recordOpen();
  const subscribed = Promise.all(Array.from({ length: 50 }, (_, at) => client.subscribe(`t${at}`)));
  await settled();
  const unsubscribed = client.unsubscribe("t49").catch((error: unknown) => error);
  const rejected = expect(subscribed).rejects.toMatchObject({ code: "closed" });
  FakeWebSocket.last.end();

  expect(await unsubscribed).toBeUndefined();
  await rejected;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(FakeWebSocket.last.queriedTopics).toHaveLength(49);
});

test("an unsubscribe whose reply is lost with the connection resolves", async () => {
  const { client } = await recordOpen({ topics: ["a"] });
  const unsubscribed = client.unsubscribe("a");
  await settled();
  FakeWebSocket.last.end();

  expect(await unsubscribed).toBeUndefined();
});

test("publications are rejected while disconnected, and waiting ones when the connection is lost", async () => {
  const { client } = await recordOpen();

  const waiting = expect(client.publish("chat", "x")).rejects.toMatchObject({ code: "disconnected" });
  await settled();
  FakeWebSocket.last.end();
  await waiting;

  await expect(client.publish("chat", "x")).rejects.toMatchObject({ code: "disconnected" });
  await vi.advanceTimersByTimeAsync(1_000);
  FakeWebSocket.last.welcome();
  expect(FakeWebSocket.last.sent).toEqual([]);
});

test("close rejects pending calls and closes once", async () => {
  const { client, states } = await recordOpen();
  const publishing = expect(client.publish("chat", "x")).rejects.toMatchObject({ code: "closed" });
  const subscribing = expect(client.subscribe("a")).rejects.toMatchObject({ code: "closed" });

  client.close();
  client.close();
  FakeWebSocket.last.welcome();
  FakeWebSocket.last.end(1000);
  await publishing;
  await subscribing;
  await vi.advanceTimersByTimeAsync(120_000);

  expect(FakeWebSocket.all).toHaveLength(1);
  expect(FakeWebSocket.last.closedWith).toBe(1000);
  expect(states.filter(({ state }) => state === "closed")).toHaveLength(1);
  expect(pendingTimers()).toBe(0);
  await expect(client.subscribe("a")).rejects.toMatchObject({ code: "closed" });
  await client.unsubscribe("a");
});

test("disposal closes the client, also while it waits or has not connected yet", async () => {
  const waiting = await record();
  FakeWebSocket.last.end();
  {
    await using _ = waiting.client;
  }
  const early = connect({ url: "ws://pusher.example/", WebSocket: FakeWebSocket, onPublication: () => {} });
  await early[Symbol.asyncDispose]();
  await vi.advanceTimersByTimeAsync(60_000);

  expect(FakeWebSocket.all).toHaveLength(1);
});
