import { expect, test, vi } from "vitest";
import { useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, reconnect, recordOpen, settled } from "../test-data/fake-web-socket.ts";
import {
  ANN,
  CYD,
  commands,
  deliverChange,
  enterLobby,
  openLobby,
  presenceCommands,
  replyMembers,
} from "../test-data/lobby.ts";

useFakeTime();

test.each([
  ["ends a subscription that was for the members alone", [], [{ command: "unsubscribe", topic: "lobby" }]],
  ["does not end a subscription of the application", ["lobby"], []],
])("a refusal rejects, ends the presence, and %s", async (_, topics, unsubscribed) => {
  const { lobby, ends } = await openLobby({ topics });
  FakeWebSocket.last.refuse("subscribe", "forbidden");

  await expect(lobby.subscribed).rejects.toMatchObject({ name: "FanwireError", code: "forbidden" });
  expect(ends).toEqual(["forbidden"]);
  expect(commands().filter(({ command }) => command === "unsubscribe")).toEqual(unsubscribed);
});

test("a refused topic ends the presence once", async () => {
  const { lobby, ends } = await openLobby();
  for (const { id } of FakeWebSocket.last.commands) {
    FakeWebSocket.last.deliver({ type: "reply", id, ok: false, error: { code: "forbidden", message: "no" } });
  }

  await expect(lobby.subscribed).rejects.toMatchObject({ code: "forbidden" });
  expect(ends).toEqual(["forbidden"]);
});

test("a refusal after a reconnect ends the presence, and the earlier list stays, not current", async () => {
  const { lobby, ends } = await enterLobby();
  await reconnect();
  FakeWebSocket.last.refuse("subscribe", "forbidden");
  await settled();

  expect(ends).toEqual(["forbidden"]);
  expect([lobby.isCurrent, lobby.count]).toEqual([false, 2]);
});

test.each([
  ["ends with its topic", [], { dropped: ["lobby"] }],
  ["may end while its topic stays", ["lobby"], { presenceDropped: ["lobby", "unknown"] }],
])("presence that a new token does not allow %s", async (_, topics, reply) => {
  const claims = btoa(JSON.stringify({ exp: Date.now() / 1_000 + 100 }));
  const { lobby, ends } = await enterLobby({ topics, token: async () => `x.${claims}.x` });
  await vi.advanceTimersByTimeAsync(85_000);
  FakeWebSocket.last.reply("refresh", reply);
  await settled();

  expect(lobby.isCurrent).toBe(false);
  expect(ends).toEqual(["forbidden"]);
  expect(commands().some(({ command }) => command === "unsubscribe")).toBe(false);
});

test("a topic from which the application unsubscribes the client ends its presence, and is not restored", async () => {
  const { lobby, refused, ends } = await enterLobby();
  FakeWebSocket.last.deliver({ type: "unsubscribed", topic: "lobby" }, { type: "unsubscribed", topic: "unknown" });

  expect([lobby.isCurrent, ends, refused]).toEqual([false, ["forbidden"], ["lobby: forbidden"]]);
  await reconnect();
  expect(FakeWebSocket.last.queriedTopics).toEqual([]);
  expect(commands()).toEqual([]);
});

test("a request for members that is under way when the application unsubscribes the client does not bring it back", async () => {
  await openLobby({ topics: ["lobby"] });
  FakeWebSocket.last.deliver({ type: "unsubscribed", topic: "lobby" });
  await settled();

  expect(commands()).toEqual([
    { command: "subscribe", topic: "lobby", presence: true },
    { command: "unsubscribe", topic: "lobby" },
  ]);
});

test("a topic stays that the client subscribes to before it learns that the application has unsubscribed it", async () => {
  const { client, refused } = await recordOpen({ topics: ["a", "b"] });
  void client.unsubscribe("a");
  const subscribed = [client.subscribe("a"), client.subscribe("b", { since: "e-1" })];
  await settled();
  for (const topic of ["a", "b"]) FakeWebSocket.last.deliver({ type: "unsubscribed", topic });
  for (const { id } of FakeWebSocket.last.commands) FakeWebSocket.last.deliver({ type: "reply", id, ok: true });

  await Promise.all(subscribed);
  expect(refused).toEqual([]);
});

test("the reply to an outdated request does not count", async () => {
  const { client, lobby, ends } = await enterLobby();
  deliverChange({ count: 900, partial: true });
  deliverChange({ count: 900 });
  await vi.advanceTimersByTimeAsync(5_000);
  const { id } = presenceCommands().at(-1) ?? {};
  void client.subscribe("lobby", { since: "e-1" }).catch(() => {});
  FakeWebSocket.last.deliver({ type: "reply", id, ok: true });
  await settled();
  expect(lobby.isCurrent).toBe(false);

  replyMembers({ count: 1, members: [CYD] });
  expect([...lobby.members.keys()]).toEqual(["cyd"]);
  expect(ends).toEqual([]);
});

test("a worker that cannot answer now is asked again after five seconds", async () => {
  const { lobby, ends } = await openLobby();
  FakeWebSocket.last.refuse("subscribe", "unavailable");
  await vi.advanceTimersByTimeAsync(4_999);
  expect(presenceCommands()).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(presenceCommands()).toHaveLength(2);
  replyMembers({ count: 1, members: [ANN] });

  expect(lobby.isCurrent).toBe(true);
  expect(ends).toEqual([]);
});

test("a worker without presence is reported as unsupported", async () => {
  const { lobby, ends } = await openLobby();
  replyMembers({});

  await expect(lobby.subscribed).rejects.toMatchObject({ code: "unsupported" });
  expect(ends).toEqual(["unsupported"]);
});

test("presence of a closed client, and of one that closes, ends with the code closed", async () => {
  const { client, lobby, changes } = await enterLobby();
  const other = client.presence("other");
  client.close();

  await expect(other.subscribed).rejects.toMatchObject({ code: "closed" });
  await expect(client.presence("lobby").subscribed).rejects.toMatchObject({ code: "closed" });
  await lobby.leave();
  expect(lobby.isCurrent).toBe(false);
  expect(changes).toHaveLength(1);
});
