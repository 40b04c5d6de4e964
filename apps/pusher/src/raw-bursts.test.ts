import { setImmediate as endOfTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { newConnectionState } from "./connection.ts";
import { OPEN_GRANT } from "./core/claims.ts";
import { Connections } from "./core/connections.ts";
import { RawBursts } from "./raw-bursts.ts";
import { SharedBursts } from "./shared-bursts.ts";
import { noteWrites } from "./testing.ts";

const BURST = 64;

/** A connection in a tree; `takes` frames, then it is over its limit. */
function connection(door: "raw" | "fanwire.v1", tree: string, takes?: number) {
  return {
    ...noteWrites(takes),
    getUserData: () => newConnectionState({ connectionId: 1, door, grant: OPEN_GRANT }),
    isSubscribed: (name: string) => name === tree,
  };
}

type Recorded = ReturnType<typeof connection>;

function burstsTo(...connected: Recorded[]) {
  const connections = new Connections<Recorded>();
  for (const one of connected) connections.open(connections.nextId(), one);
  const published: [tree: string, frame: string, isBinary: boolean][] = [];
  const trees = {
    publish: (tree: string, frame: string | Uint8Array, isBinary: boolean) =>
      void published.push([tree, Buffer.from(frame).toString(), isBinary]),
    count: (tree: string) => connected.filter(({ isSubscribed }) => isSubscribed(tree)).length,
  };
  const shared = new SharedBursts({ door: "raw", trees, connections, maxBytes: 1_000_000 });
  return { bursts: new RawBursts(trees, shared), published };
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, number) => String(number));
}

test("what comes in one turn is left to the tree, in order, when the turn ends", async () => {
  const { bursts, published } = burstsTo(connection("raw", "a"));

  for (const text of ["1", "2"]) bursts.publish("a", Buffer.from(text));
  bursts.publish("b", Buffer.from([0xff]));
  bursts.publish("a", Buffer.from("3"));

  await endOfTurn();
  expect(published).toEqual([
    ["a", "1", false],
    ["a", "2", false],
    ["b", "\ufffd", true],
    ["a", "3", false],
  ]);
});

test("a burst is written to each follower of the raw door at once, and to nobody else", async () => {
  const followers = [connection("raw", "a"), connection("raw", "a")];
  const others = [connection("raw", "b"), connection("fanwire.v1", "a")];
  const { bursts, published } = burstsTo(...followers, ...others);

  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));
  expect(followers.map(({ writes }) => writes)).toEqual([[], []]);

  await endOfTurn();
  expect(followers.map(({ writes }) => writes)).toEqual([[numbers(BURST)], [numbers(BURST)]]);
  expect(others.map(({ writes }) => writes)).toEqual([[], []]);
  expect(published).toEqual([]);
});

test("behind what waits in trees the first of a burst is written alone, and the rest together", async () => {
  const follower = connection("raw", "a");
  const { bursts, published } = burstsTo(follower);
  bursts.publish("b", Buffer.from("waits"));

  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));

  await endOfTurn();
  expect(published.map(([, frame]) => frame)).toEqual(["waits"]);
  expect(follower.writes).toEqual([["0"], numbers(BURST).slice(1)]);
  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));
  await endOfTurn();
  expect(follower.writes.slice(2)).toEqual([numbers(BURST)]);
});

test("a burst for a few among many is left to the tree", async () => {
  const { bursts, published } = burstsTo(
    connection("raw", "a"),
    ...Array.from({ length: 9 }, () => connection("raw", "b")),
  );

  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));

  await endOfTurn();
  expect(published.map(([, frame]) => frame)).toEqual(numbers(BURST));
});

test("a few large ones are a burst as well", async () => {
  const follower = connection("raw", "a");
  const { bursts, published } = burstsTo(follower);
  const large = ["x", "y", "z"].map((letter) => letter.repeat(10_000));

  for (const text of large) bursts.publish("a", Buffer.from(text));

  await endOfTurn();
  expect(follower.writes).toEqual(large.map((text) => [text]));
  expect(published).toEqual([]);
});

test("a connection over its limit is sent no more of the burst; the others get it all", async () => {
  const [slow, quick] = [connection("raw", "a", 3), connection("raw", "a")];
  const { bursts } = burstsTo(slow, quick);

  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));

  await endOfTurn();
  expect(slow.writes).toEqual([numbers(3)]);
  expect(quick.writes).toEqual([numbers(BURST)]);
});

test("flushing writes what is pending, once", async () => {
  const { bursts, published } = burstsTo(connection("raw", "a"));
  bursts.publish("a", Buffer.from("1"));

  bursts.flush();
  expect(published.map(([, frame]) => frame)).toEqual(["1"]);

  bursts.publish("a", Buffer.from("2"));
  await endOfTurn();
  expect(published.map(([, frame]) => frame)).toEqual(["1", "2"]);
});

test("no more than a mebibyte is gathered", () => {
  const follower = connection("raw", "a");
  const { bursts } = burstsTo(follower);

  for (let count = 0; count < 3; count++) bursts.publish("a", Buffer.alloc(600_000, "x"));

  expect(follower.writes.flat().length).toBe(2);
});
