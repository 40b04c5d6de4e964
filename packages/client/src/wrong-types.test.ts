import { expect, test } from "vitest";
import { useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, record, recordOpen, settled } from "../test-data/fake-web-socket.ts";
import { type ClientOptions, connect } from "./index.ts";

useFakeTime();

/** Passes what plain JavaScript may pass. */
// biome-ignore lint/suspicious/noExplicitAny: the types refuse all of it
const untyped = (value: unknown): any => value;
const invalid = (message: string) => expect.objectContaining({ name: "FanwireError", code: "invalid", message });
const options: ClientOptions = { url: "ws://pusher.example/", WebSocket: FakeWebSocket, onPublication: () => {} };

test.each([
  ["url must be of type string", { url: undefined }, { url: null }, { url: 4236 }, { url: {} }],
  ["topics must be of type array", { topics: "news" }, { topics: null }, { topics: new Set(["news"]) }],
  ["topic must be of type string", { topics: ["news", 1] }, { topics: [["news"]] }],
  ["token must be of type string", { token: Promise.resolve("t") }, { token: 1 }],
  ["since must be of type string", { since: 10 }, { since: {} }],
  ["onPublication must be of type function", { onPublication: undefined }, { onPublication: "log" }],
  ["onState must be of type function", { onState: null }, { onState: {} }],
  ["onRefused must be of type function", { onRefused: [] }],
  ["commandTimeoutMs must be of type number", { commandTimeoutMs: "5 s" }, { commandTimeoutMs: Number.NaN }],
])("connect throws: %s", async (message, ...wrong) => {
  for (const each of wrong) expect(() => connect(untyped(Object.assign({}, options, each)))).toThrow(invalid(message));
  await settled();

  expect(FakeWebSocket.all).toEqual([]);
});

test("a URL object, and null as since or token, are accepted", async () => {
  connect(untyped({ ...options, url: new URL("ws://pusher.example/push"), since: null, token: null }));
  await settled();

  expect(FakeWebSocket.last.url.href).toBe("ws://pusher.example/push");
});

test("commands have no timeout if it is infinite", async () => {
  const { client } = await recordOpen({ commandTimeoutMs: Number.POSITIVE_INFINITY });
  const subscribed = client.subscribe("a");
  await settled();
  FakeWebSocket.last.reply("subscribe");

  expect(await subscribed).toEqual({ recovered: null });
});

test("publish rejects what is not text, and later publications are sent", async () => {
  const { client } = await recordOpen();

  const data = invalid("data must be of type string");
  for (const wrong of [{ text: "hi" }, undefined, null, 7, new Uint8Array(3)]) {
    await expect(client.publish("chat", untyped(wrong))).rejects.toEqual(data);
  }
  await expect(client.publish(untyped(["chat"]), "hi")).rejects.toEqual(invalid("topic must be of type string"));
  await expect(client.publish("chat", "hi", untyped({ event: 10n }))).rejects.toEqual(
    invalid("event must be of type string"),
  );
  await expect(client.publish("chat", "hi", untyped("said"))).rejects.toEqual(
    invalid("options must be of type object"),
  );
  const codes = Array.from({ length: 40 }, () => client.publish("chat", "hi").catch(({ code }) => code));
  await settled();
  client.close();

  expect(new Set(await Promise.all(codes))).toEqual(new Set(["closed"]));
  expect(FakeWebSocket.last.commands.map((command) => command.data)).toEqual(Array(30).fill("hi"));
});

test("subscribe and unsubscribe reject other types, and change no subscription", async () => {
  const { client } = await recordOpen({ topics: ["a"] });

  const topic = invalid("topic must be of type string");
  for (const wrong of [undefined, null, 7, ["a"], {}]) {
    await expect(client.subscribe(untyped(wrong))).rejects.toEqual(topic);
    await expect(client.unsubscribe(untyped(wrong))).rejects.toEqual(topic);
  }
  const since = invalid("since must be of type string");
  await expect(client.subscribe("a", untyped({ since: 10 }))).rejects.toEqual(since);
  await expect(client.subscribe("a", untyped("e-10"))).rejects.toEqual(invalid("options must be of type object"));
  await expect(client.subscribe("a", untyped(null))).rejects.toThrow(TypeError);
  expect(await client.subscribe("a", untyped({ since: null }))).toEqual({ recovered: null });
  await settled();

  expect(FakeWebSocket.last.sent).toEqual([]);
});

test("presence and its listeners of other types throw", async () => {
  const { client } = await record();
  const lobby = client.presence("lobby");

  expect(() => client.presence(untyped({ topic: "lobby" }))).toThrow(invalid("topic must be of type string"));
  expect(() => lobby.on("change", untyped(undefined))).toThrow(invalid("listener must be of type function"));
});
