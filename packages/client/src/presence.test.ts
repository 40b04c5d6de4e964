import { expect, test, vi } from "vitest";
import { catchMicrotasks, useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, reconnect, record, settled } from "../test-data/fake-web-socket.ts";
import {
  ANN,
  BOB,
  CYD,
  commands,
  deliverChange,
  enterLobby,
  openLobby,
  presenceCommands,
  replyMembers,
} from "../test-data/lobby.ts";

useFakeTime();

const ENTERING = [
  { command: "subscribe", topic: "lobby" },
  { command: "subscribe", topic: "lobby", presence: true },
];

test("presence subscribes to the topic, and has the members when the worker has sent them", async () => {
  const { lobby, changes } = await openLobby();

  expect(commands()).toEqual(ENTERING);
  expect([lobby.count, lobby.members.size, lobby.isCurrent, lobby.isComplete]).toEqual([0, 0, false, false]);
  replyMembers({ count: 2, members: [ANN, BOB] });

  await lobby.subscribed;
  expect([...lobby.members]).toEqual([
    ["ann", { name: "Ann" }],
    ["bob", undefined],
  ]);
  expect([lobby.count, lobby.isCurrent, lobby.isComplete]).toEqual([2, true, true]);
  expect(changes).toEqual([{ joined: [], left: [], count: 2 }]);
});

test("presence before the connection is open is requested after the welcome", async () => {
  const { client } = await record();
  const lobby = client.presence("lobby");
  FakeWebSocket.last.welcome();
  await settled();

  expect(commands()).toEqual(ENTERING);
  expect(client.presence("lobby")).toBe(lobby);
});

test("changes are applied in order, each once", async () => {
  const { lobby, changes } = await enterLobby();
  changes.length = 0;

  deliverChange({ joined: [CYD], count: 3 });
  deliverChange({ joined: [CYD], left: ["nobody"], count: 3 });
  deliverChange({ left: ["ann"], count: 2 });
  deliverChange({ joined: [{ ...BOB, info: 7 }], left: ["bob"], count: 2 });

  expect(changes).toEqual([
    { joined: [CYD], left: [], count: 3 },
    { joined: [], left: ["ann"], count: 2 },
  ]);
  expect([...lobby.members]).toEqual([
    ["cyd", undefined],
    ["bob", 7],
  ]);
});

test("a map of members never changes, so that a page can compare two of them", async () => {
  const { lobby } = await enterLobby();
  const { members } = lobby;

  deliverChange({ joined: [CYD], count: 3 });

  expect([members.size, lobby.members.size]).toEqual([2, 3]);
});

test.each([
  ["the difference to the earlier list is reported", [BOB, CYD], [{ joined: [CYD], left: ["ann"], count: 2 }]],
  ["a list without a difference is not reported", [BOB, ANN], []],
])("after a reconnect %s", async (_, members, reported) => {
  const { lobby, changes } = await enterLobby();
  changes.length = 0;

  FakeWebSocket.last.end();
  expect([lobby.isCurrent, lobby.count, [...lobby.members.keys()]]).toEqual([false, 2, ["ann", "bob"]]);
  await reconnect();
  expect(FakeWebSocket.last.queriedTopics).toEqual(["lobby"]);
  expect(commands()).toEqual([{ command: "subscribe", topic: "lobby", presence: true }]);
  // The list has all changes before it.
  deliverChange({ joined: [CYD], count: 3 });
  replyMembers({ count: 2, members });

  expect(changes).toEqual(reported);
  expect(lobby.isCurrent).toBe(true);
});

test("without a list the count is known alone, and nobody is reported as joined or left", async () => {
  const { lobby, changes } = await enterLobby();
  await reconnect();
  replyMembers({ count: 2_000 });

  expect([lobby.count, lobby.members.size, lobby.isComplete, lobby.isCurrent]).toEqual([2_000, 0, false, true]);
  deliverChange({ joined: [CYD], count: 2_001 });
  expect(lobby.members.size).toBe(0);
  expect(changes.slice(1)).toEqual([
    { joined: [], left: [], count: 2_000 },
    { joined: [CYD], left: [], count: 2_001 },
  ]);
});

test("a partial change ends the list, which is requested again when it is short enough", async () => {
  const { lobby, changes } = await enterLobby();
  deliverChange({ joined: [CYD], count: 1_500, partial: true });
  expect([lobby.isComplete, lobby.count, lobby.members.size]).toEqual([false, 1_500, 0]);
  deliverChange({ left: ["bob"], count: 1_001 });
  await settled();
  expect(presenceCommands()).toHaveLength(1);

  deliverChange({ left: ["ann"], count: 1_000 });
  await vi.advanceTimersByTimeAsync(4_000);
  deliverChange({ left: ["x"], count: 999 });
  await vi.advanceTimersByTimeAsync(999);
  expect(presenceCommands()).toHaveLength(1);
  // Clients ask within five seconds, each at a random time.
  await vi.advanceTimersByTimeAsync(1);
  expect(presenceCommands()).toHaveLength(2);
  replyMembers({ count: 1, members: [CYD] });

  expect([lobby.isComplete, [...lobby.members.keys()]]).toEqual([true, ["cyd"]]);
  expect(changes.at(-1)).toEqual({ joined: [], left: [], count: 1 });
});

test("a topic that is subscribed already is not subscribed again, and stays after leave", async () => {
  const { lobby } = await openLobby({ topics: ["lobby"] });
  expect(commands()).toEqual([{ command: "subscribe", topic: "lobby", presence: true }]);
  replyMembers({ count: 1, members: [ANN] });

  const left = lobby.leave();
  await settled();
  expect(commands().at(-1)).toEqual({ command: "subscribe", topic: "lobby", presence: false });
  FakeWebSocket.last.reply("subscribe");
  await left;
  expect(lobby.isCurrent).toBe(false);

  await reconnect();
  expect(FakeWebSocket.last.queriedTopics).toEqual(["lobby"]);
  expect(commands()).toEqual([]);
});

test("a subscription after presence costs no command, and the topic stays until both have ended", async () => {
  const { client, lobby } = await enterLobby();
  FakeWebSocket.last.sent.length = 0;
  void client.subscribe("lobby").catch(() => {});
  await client.unsubscribe("lobby");
  await settled();
  expect(commands()).toEqual([]);
  expect(lobby.isCurrent).toBe(true);

  void lobby.leave();
  await settled();
  expect(commands()).toEqual([{ command: "unsubscribe", topic: "lobby" }]);
});

test("leave ends the changes, and presence can begin again at once", async () => {
  const { client, lobby, changes } = await enterLobby();

  void lobby.leave();
  const again = client.presence("lobby");
  deliverChange({ joined: [CYD], count: 3 });
  await settled();
  replyMembers({ count: 1, members: [BOB] });

  expect(again).not.toBe(lobby);
  expect(commands().slice(2)).toEqual([{ command: "unsubscribe", topic: "lobby" }, ...ENTERING]);
  expect(changes).toHaveLength(1);
  expect([lobby.members.size, again.members.size]).toEqual([2, 1]);
});

test("leave without a connection resolves at once, and the next connection does not join", async () => {
  const { lobby } = await enterLobby();
  FakeWebSocket.last.end();

  await lobby.leave();
  await reconnect();

  expect(FakeWebSocket.last.queriedTopics).toEqual([]);
  expect(commands()).toEqual([]);
});

test("a subscription that starts over enters again", async () => {
  const { client, lobby } = await enterLobby();
  void client.subscribe("lobby", { since: "e-1" }).catch(() => {});
  expect(lobby.isCurrent).toBe(false);
  await settled();

  expect(commands().slice(2)).toEqual([
    { command: "unsubscribe", topic: "lobby" },
    { command: "subscribe", topic: "lobby", since: "e-1" },
    { command: "subscribe", topic: "lobby", presence: true },
  ]);
});

test("a listener that was removed is not called, and one that throws does not stop others", async () => {
  const { lobby } = await enterLobby();
  const thrown = catchMicrotasks();
  const removed = vi.fn();
  const kept = vi.fn();
  lobby.on("change", () => {
    throw new Error("mine");
  });
  lobby.on("change", removed)();
  lobby.on("change", kept);

  deliverChange({ joined: [CYD], count: 3 });
  await settled();

  expect(thrown).toEqual([new Error("mine")]);
  expect(removed).not.toHaveBeenCalled();
  expect(kept).toHaveBeenCalledTimes(1);
});
