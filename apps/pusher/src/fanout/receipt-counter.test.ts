import { setTimeout as delay } from "node:timers/promises";
import { OPEN_GRANT } from "@fanwire/tokens";
import { expect, test, vi } from "vitest";
import { type Connection, newConnectionState } from "../connections/connection.ts";
import { Connections } from "../connections/connections.ts";
import { raw } from "../protocols/raw.ts";
import { ReceiptCounter } from "./receipt-counter.ts";

const everyone = {
  kind: "everyone",
  pattern: undefined,
  connectionIds: undefined,
  has: () => true,
} as const;

type Noted = Parameters<ReceiptCounter["note"]>[1];

function openConnections(unsentBytes: readonly number[]) {
  const connections = new Connections<Connection>();
  const states = unsentBytes.map((bytes) => {
    const connectionId = connections.nextId();
    const state = newConnectionState({ connectionId, protocol: raw, grant: OPEN_GRANT });
    const connection: Partial<Connection> = {
      getUserData: () => state,
      getBufferedAmount: () => bytes,
    };
    // The counter uses nothing else of a connection.
    connections.open(connectionId, connection as Connection);
    return state;
  });
  const receipts = new ReceiptCounter(connections);
  const note = (id: string, handedTo: number, more: Partial<Noted> = {}) =>
    receipts.note(id, { subscription: everyone, waiting: [], exceptedId: undefined, handedTo, ...more });
  return { connections, states, receipts, note };
}

test("only receivers count: not the excepted connection, nor those over their limit", async () => {
  const { receipts, note, states } = openConnections([0, 0, 0, 10, 10]);
  const [, , , excepted, over] = states;
  if (over) over.isOverUnsentLimit = true;

  note("a", 4, { exceptedId: excepted?.connectionId });
  note("b", 5);

  expect(await receipts.take("a")).toEqual({ delivered: 3, buffered: 0, isFinal: true });
  expect(await receipts.take("b")).toEqual({ delivered: 3, buffered: 1, isFinal: true });
});

test("a connection that closes before it is counted makes the receipt not final", async () => {
  const { receipts, note, connections } = openConnections([0, 0, 0]);

  note("a", 3);
  connections.close(1);

  expect(await receipts.take("a")).toEqual({ delivered: 2, buffered: 0, isFinal: false });
  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: true });
});

/** A connection that waits for its replay. */
const waitingOf = (connectionId: number) => ({ connectionId, hasLeft: false });

test("a connection that waits counts once it is known whether it has received the publication", async () => {
  const { receipts, note } = openConnections([0, 0, 0, 10]);
  const [sent, leftOut, behind] = [waitingOf(2), waitingOf(3), waitingOf(4)];

  note("a", 0, { waiting: [sent, leftOut, behind] });
  expect(receipts.hasCounted("a")).toBe(false);
  receipts.countWaiting("a", sent, "received");
  receipts.countWaiting("a", leftOut, "not-received");
  expect(receipts.hasCounted("a")).toBe(false);
  receipts.countWaiting("a", behind, "received");
  expect(receipts.hasCounted("a")).toBe(true);
  // Nobody waits for it any more.
  receipts.countWaiting("a", behind, "received");

  expect(await receipts.take("a")).toEqual({ delivered: 1, buffered: 1, isFinal: true });
});

test("a connection that waits counts once for each publication of the receipt", async () => {
  const { receipts, note } = openConnections([0]);
  const ofPattern = waitingOf(1);

  // A publication to three topics that one pattern matches.
  for (let times = 0; times < 3; times++) note("a", 0, { waiting: [ofPattern] });
  receipts.countWaiting("a", ofPattern, "received");
  receipts.countWaiting("a", ofPattern, "not-received");
  expect(receipts.hasCounted("a")).toBe(false);
  receipts.countWaiting("a", ofPattern, "received");

  expect(receipts.hasCounted("a")).toBe(true);
  expect(await receipts.take("a")).toEqual({ delivered: 2, buffered: 0, isFinal: true });
});

test("thousands of connections that wait are not looked at each time", () => {
  const { receipts, note, connections } = openConnections(Array.from({ length: 1_000 }, () => 0));
  const waiting = Array.from({ length: 1_000 }, (_, at) => waitingOf(at + 1));
  note("a", 0, { waiting });
  const looks = vi.spyOn(connections, "get");

  for (let times = 0; times < 100; times++) expect(receipts.hasCounted("a")).toBe(false);

  expect(looks).toHaveBeenCalledTimes(100);
});

test("receipts are not final while too many connections wait, and are again when these are counted", async () => {
  const { receipts, note } = openConnections([0]);
  const crowd = Array.from({ length: 50_000 }, (_, at) => waitingOf(at + 2));
  const own = waitingOf(1);
  const finals = async (...ids: string[]) => {
    const taken = await Promise.all(ids.map((id) => receipts.take(id)));
    return taken.map(({ isFinal }) => isFinal);
  };

  for (const id of ["a", "b"]) note(id, 0, { waiting: crowd });
  for (const id of ["c", "c"]) note(id, 0, { waiting: [own] });
  note("nobody", 0);
  note("excepted", 1, { waiting: [own], exceptedId: 1 });
  expect(receipts.hasCounted("c")).toBe(true);
  expect(await finals("c", "nobody", "excepted")).toEqual([false, true, false]);
  expect(receipts.uncounted).toBe(1);

  for (const each of crowd) receipts.countWaiting("a", each, "not-received");
  expect(await finals("a", "b")).toEqual([true, false]);
  note("d", 0, { waiting: [own] });
  receipts.countWaiting("d", own, "received");
  expect(await finals("d")).toEqual([true]);
  expect(receipts.uncounted).toBe(1);
});

test("five hundred receipts with ten thousand connections that wait take little time", () => {
  const { note } = openConnections([0]);
  const waiting = new Set(Array.from({ length: 10_000 }, (_, at) => waitingOf(at + 1)));
  let looks = 0;
  const counted = {
    *[Symbol.iterator]() {
      for (const each of waiting) {
        looks++;
        yield each;
      }
    },
  };

  for (let at = 0; at < 500; at++) note(String(at), 0, { waiting: counted });

  expect(looks).toBeLessThan(120_000);
});

test("a connection that waits makes the receipt not final if it closes, or if nobody knows what it has received", async () => {
  const { receipts, note, connections } = openConnections([0, 0]);
  const [closed, unknown, late] = [waitingOf(1), waitingOf(2), waitingOf(2)];

  note("closed", 0, { waiting: [closed] });
  connections.close(1);
  note("unknown", 0, { waiting: [unknown] });
  receipts.countWaiting("unknown", unknown, "unknown");
  note("late", 0, { waiting: [late] });

  expect(receipts.hasCounted("closed")).toBe(true);
  const none = { delivered: 0, buffered: 0, isFinal: false };
  for (const id of ["closed", "unknown", "late"]) expect(await receipts.take(id)).toEqual(none);
});

test("nothing waits for a connection that has unsubscribed, or must not receive the publication", async () => {
  const { receipts, note } = openConnections([0, 0]);
  const unsubscribed = waitingOf(1);

  note("a", 0, { waiting: [unsubscribed, waitingOf(2)], exceptedId: 2 });
  expect(receipts.hasCounted("a")).toBe(false);
  unsubscribed.hasLeft = true;

  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: true });
});

test("a connection that is live since then does not count in place of one that has closed", async () => {
  const { receipts, note, connections } = openConnections([0, 0, 0]);

  note("before", 2);
  receipts.onStart(everyone, connections.get(3) as Connection);
  note("after", 3);
  connections.close(1);

  expect(await receipts.take("before")).toEqual({ delivered: 1, buffered: 0, isFinal: false });
  expect(await receipts.take("after")).toEqual({ delivered: 2, buffered: 0, isFinal: false });
});

test("the counts of several subscriptions are added up, and deleted once they are claimed", async () => {
  const { receipts, note } = openConnections([0, 10]);
  for (let times = 0; times < 3; times++) note("a", 2);

  await delay(10);
  // In a later tick than the others.
  note("a", 2);

  expect(await receipts.take("a")).toEqual({ delivered: 4, buffered: 4, isFinal: true });
  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: true });
});

test("unclaimed receipts are evicted, and are then not final", async () => {
  const { receipts, note } = openConnections([0]);

  for (let at = 0; at <= 10_000; at++) note(String(at), 1);

  expect(await receipts.take("10000")).toMatchObject({ isFinal: true });
  expect(await receipts.take("0")).toMatchObject({ isFinal: false });
});
