import { beforeEach, expect, test, vi } from "vitest";
import { useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, record, recordOpen, settled } from "../test-data/fake-web-socket.ts";

let page: EventTarget;
let document: EventTarget & { visibilityState: string };

useFakeTime();
beforeEach(() => {
  page = new EventTarget();
  document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
  vi.stubGlobal("document", document);
});

const online = () => page.dispatchEvent(new Event("online"));
const shown = () => document.dispatchEvent(new Event("visibilitychange"));
const restored = (persisted: boolean) => page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted }));

test.each([
  ["the network is back", online],
  ["the page becomes visible", shown],
  ["the page is restored from the back/forward cache", () => restored(true)],
])("a client that waits connects at once when %s", async (_when, happen) => {
  const { states } = await record();
  FakeWebSocket.last.end();
  expect(states.at(-1)).toMatchObject({ state: "waiting", retryInMs: 1_000 });

  happen();
  await settled();

  expect(FakeWebSocket.all).toHaveLength(2);
  expect(states.at(-1)).toEqual({ state: "connecting" });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(FakeWebSocket.all).toHaveLength(2);
});

test("a hidden page, and one that is loaded as usual, wake no client", async () => {
  await record();
  FakeWebSocket.last.end();

  document.visibilityState = "hidden";
  shown();
  restored(false);
  await settled();

  expect(FakeWebSocket.all).toHaveLength(1);
});

test("an open connection is pinged once, and replaced when the worker does not answer", async () => {
  FakeWebSocket.answersPings = false;
  const { states } = await record();
  online();
  FakeWebSocket.last.welcome();

  online();
  shown();
  await settled();
  expect(FakeWebSocket.last.commands).toEqual([{ id: "ping", command: "ping" }]);

  await vi.advanceTimersByTimeAsync(10_000);
  expect(states.at(-1)).toMatchObject({ state: "waiting", reason: "the worker does not reply" });
});

test("a connection that the back/forward cache has closed is replaced at once", async () => {
  const { states } = await recordOpen();

  restored(true);
  await settled();

  expect(FakeWebSocket.all).toHaveLength(2);
  expect(states.map(({ state }) => state)).toEqual(["connecting", "open", "waiting", "connecting"]);
});

test("a connection that the back/forward cache has closed is replaced once, also while topics are restored", async () => {
  const { client, states } = await record();
  client.subscribe("a").catch(() => {});
  FakeWebSocket.last.welcome();
  await settled();
  expect(FakeWebSocket.last.commands).toMatchObject([{ command: "subscribe", topic: "a" }]);

  restored(true);
  await settled();

  expect(FakeWebSocket.all.map(({ closedWith }) => closedWith)).toEqual([undefined, "open"]);
  expect(states.map(({ state }) => state)).toEqual(["connecting", "waiting", "connecting"]);
});

test("a closed client ignores the events", async () => {
  const { client } = await recordOpen();

  client.close();
  online();
  shown();
  restored(true);
  await settled();

  expect(FakeWebSocket.all).toHaveLength(1);
  expect(FakeWebSocket.last.sent).toEqual([]);
});
