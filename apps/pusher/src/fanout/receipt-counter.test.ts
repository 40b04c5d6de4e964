import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Connection, newConnectionState } from "../connections/connection.ts";
import { Connections } from "../connections/connections.ts";
import { Receipts } from "./receipt-counter.ts";

const NOBODY = { user: undefined, topics: [], publish: [], expiresAt: undefined };
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
    const state = newConnectionState({ connectionId, protocol: "raw", grant: NOBODY });
    const connection: Partial<Connection> = {
      getUserData: () => state,
      getBufferedAmount: () => bytes,
    };
    // Receipts ask a connection nothing else.
    connections.open(connectionId, connection as Connection);
    return state;
  });
  return { connections, states, receipts: new Receipts(connections) };
}

test("only who got it counts: not the excepted, not who joined or closed since, not who is over its limit", async () => {
  const { receipts, connections, states } = openConnections([0, 0, 0, 10, 10]);
  const [, , , excepted, over] = states;
  if (over) over.isOverUnsentLimit = true;

  // Three were there, beside the excepted one; then one closed and one joined.
  receipts.note("a", { followed: everyone, handedTo: 3, awaited: 0, exceptedId: excepted?.connectionId });
  connections.close(1);
  expect(await receipts.take("a")).toEqual({ delivered: 2, buffered: 0, isFinal: true });

  receipts.note("b", { followed: everyone, handedTo: 2, awaited: 0, exceptedId: undefined });
  expect(await receipts.take("b")).toEqual({ delivered: 1, buffered: 1, isFinal: true });
});

test("a connection that closes before it is counted makes the count uncertain, until it is asked for", async () => {
  const { receipts, connections } = openConnections([0, 0, 0]);

  receipts.note("a", { followed: everyone, handedTo: 3, awaited: 0, exceptedId: undefined });
  connections.close(1);

  expect(await receipts.take("a")).toEqual({ delivered: 2, buffered: 0, isFinal: false });
  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: true });
});

test("who has not joined yet counts when it has, who follows since then does not", async () => {
  const { receipts, connections } = openConnections([0, 0, 0, 0]);
  const joined = new Set([1]);
  const followed = { ...everyone, has: (connection: Connection) => joined.has(connection.getUserData().connectionId) };

  // One had joined, two had not, and the fourth came later.
  receipts.note("a", { followed, handedTo: 1, awaited: 2, exceptedId: undefined });
  receipts.note("b", { followed, handedTo: 1, awaited: 2, exceptedId: undefined });
  await delay(10);
  expect(receipts.hasCounted("a")).toBe(false);
  joined.add(2).add(3).add(4);
  expect(receipts.hasCounted("a")).toBe(true);
  connections.close(3);

  expect(await receipts.take("a")).toEqual({ delivered: 3, buffered: 0, isFinal: true });
  expect(await receipts.take("b")).toEqual({ delivered: 2, buffered: 0, isFinal: false });
});

test("who never joins makes the count uncertain", async () => {
  const { receipts } = openConnections([0]);

  receipts.note("a", { followed: { ...everyone, has: () => false }, handedTo: 0, awaited: 1, exceptedId: undefined });

  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: false });
});

test("what several keys brought under one id is added up, and forgotten once it was told", async () => {
  const { receipts } = openConnections([0, 10]);
  for (let times = 0; times < 3; times++) {
    receipts.note("a", { followed: everyone, handedTo: 2, awaited: 0, exceptedId: undefined });
  }

  expect(await receipts.take("a")).toEqual({ delivered: 3, buffered: 3, isFinal: true });
  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: true });
});

test("what nobody asks for is forgotten, and then nobody is told that it is final", async () => {
  const { receipts } = openConnections([0]);

  for (let at = 0; at <= 10_000; at++) {
    receipts.note(String(at), { followed: everyone, handedTo: 1, awaited: 0, exceptedId: undefined });
  }

  expect(await receipts.take("10000")).toMatchObject({ isFinal: true });
  expect(await receipts.take("0")).toMatchObject({ isFinal: false });
});
