import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Connection, newConnectionState } from "../connections/connection.ts";
import { Connections } from "../connections/connections.ts";
import { raw } from "../protocols/raw.ts";
import { Receipts } from "./receipt-counter.ts";

const NOBODY = { user: undefined, topics: [], publish: [], presence: [], info: undefined, expiresAt: undefined };
const everyone = {
  kind: "everyone",
  pattern: undefined,
  connectionIds: undefined,
  has: () => true,
} as const;

function openConnections(unsentBytes: readonly number[]) {
  const connections = new Connections<Connection>();
  const states = unsentBytes.map((bytes) => {
    const connectionId = connections.nextId();
    const state = newConnectionState({ connectionId, protocol: raw, grant: NOBODY });
    const connection: Partial<Connection> = {
      getUserData: () => state,
      getBufferedAmount: () => bytes,
    };
    // Receipts use nothing else of a connection.
    connections.open(connectionId, connection as Connection);
    return state;
  });
  return { connections, states, receipts: new Receipts(connections) };
}

test("only receivers count: not the excepted connection, nor those that joined or closed since, nor those over their limit", async () => {
  const { receipts, connections, states } = openConnections([0, 0, 0, 10, 10]);
  const [, , , excepted, over] = states;
  if (over) over.isOverUnsentLimit = true;

  // Three connections beside the excepted one. Then one closed and one joined.
  receipts.note("a", { subscription: everyone, handedTo: 3, awaited: 0, exceptedId: excepted?.connectionId });
  connections.close(1);
  expect(await receipts.take("a")).toEqual({ delivered: 2, buffered: 0, isFinal: true });

  receipts.note("b", { subscription: everyone, handedTo: 2, awaited: 0, exceptedId: undefined });
  expect(await receipts.take("b")).toEqual({ delivered: 1, buffered: 1, isFinal: true });
});

test("a connection that closes before it is counted makes the receipt not final", async () => {
  const { receipts, connections } = openConnections([0, 0, 0]);

  receipts.note("a", { subscription: everyone, handedTo: 3, awaited: 0, exceptedId: undefined });
  connections.close(1);

  expect(await receipts.take("a")).toEqual({ delivered: 2, buffered: 0, isFinal: false });
  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: true });
});

test("a connection counts once it joins, but not if it subscribed after the publication", async () => {
  const { receipts, connections } = openConnections([0, 0, 0, 0]);
  const joined = new Set([1]);
  const subscription = {
    ...everyone,
    has: (connection: Connection) => joined.has(connection.getUserData().connectionId),
  };

  // One had joined, two had not, and the fourth subscribed later.
  receipts.note("a", { subscription, handedTo: 1, awaited: 2, exceptedId: undefined });
  receipts.note("b", { subscription, handedTo: 1, awaited: 2, exceptedId: undefined });
  await delay(10);
  expect(receipts.hasCounted("a")).toBe(false);
  joined.add(2).add(3).add(4);
  expect(receipts.hasCounted("a")).toBe(true);
  connections.close(3);

  expect(await receipts.take("a")).toEqual({ delivered: 3, buffered: 0, isFinal: true });
  expect(await receipts.take("b")).toEqual({ delivered: 2, buffered: 0, isFinal: false });
});

test("a connection that never joins makes the receipt not final", async () => {
  const { receipts } = openConnections([0]);

  receipts.note("a", {
    subscription: { ...everyone, has: () => false },
    handedTo: 0,
    awaited: 1,
    exceptedId: undefined,
  });

  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: false });
});

test("the counts of several subscriptions are added up, and deleted once they are claimed", async () => {
  const { receipts } = openConnections([0, 10]);
  for (let times = 0; times < 3; times++) {
    receipts.note("a", { subscription: everyone, handedTo: 2, awaited: 0, exceptedId: undefined });
  }

  expect(await receipts.take("a")).toEqual({ delivered: 3, buffered: 3, isFinal: true });
  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: true });
});

test("unclaimed receipts are evicted, and are then not final", async () => {
  const { receipts } = openConnections([0]);

  for (let at = 0; at <= 10_000; at++) {
    receipts.note(String(at), { subscription: everyone, handedTo: 1, awaited: 0, exceptedId: undefined });
  }

  expect(await receipts.take("10000")).toMatchObject({ isFinal: true });
  expect(await receipts.take("0")).toMatchObject({ isFinal: false });
});
