import { setImmediate as endOfTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { newConnectionState } from "./connection.ts";
import { OPEN_GRANT } from "./core/claims.ts";
import { Connections } from "./core/connections.ts";
import { RawBursts } from "./raw-bursts.ts";

/** What its tree writes at once, and so many more that the rest is a burst. */
const AT_ONCE = 32;
const BURST = AT_ONCE + 64;

/** A connection that notes what is sent to it, and together with what; `takes` frames, then it is over its limit. */
function connection(door: "raw" | "fanwire.v1", tree: string, takes = Number.POSITIVE_INFINITY) {
  const writes: string[][] = [];
  return {
    writes,
    getUserData: () => newConnectionState({ connectionId: 1, door, grant: OPEN_GRANT }),
    isSubscribed: (name: string) => name === tree,
    send: (frame: string | Uint8Array, isBinary?: boolean) => {
      if (writes.flat().length >= takes) return 2;
      writes.at(-1)?.push(isBinary ? "binary" : frame.toString());
      return 1;
    },
    cork: (writing: () => void) => {
      writes.push([]);
      writing();
    },
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
  return { bursts: new RawBursts(trees, connections), published };
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, number) => String(number));
}

test("little is left to its tree, at once and in order", () => {
  const { bursts, published } = burstsTo(connection("raw", "a"));

  for (const text of ["1", "2"]) bursts.publish("a", Buffer.from(text));
  bursts.publish("b", Buffer.from([0xff]));
  bursts.publish("a", Buffer.from("3"));

  expect(published).toEqual([
    ["a", "1", false],
    ["a", "2", false],
    ["b", "\ufffd", true],
    ["a", "3", false],
  ]);
});

test("the rest of a burst is written to each follower of the raw door together, and to nobody else", async () => {
  const followers = [connection("raw", "a"), connection("raw", "a")];
  const others = [connection("raw", "b"), connection("fanwire.v1", "a")];
  const { bursts, published } = burstsTo(...followers, ...others);

  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));
  expect(followers.map(({ writes }) => writes)).toEqual([[], []]);

  await endOfTurn();
  const rest = numbers(BURST).slice(AT_ONCE);
  expect(published.map(([, frame]) => frame)).toEqual(numbers(AT_ONCE));
  expect(followers.map(({ writes }) => writes)).toEqual([[rest], [rest]]);
  expect(others.map(({ writes }) => writes)).toEqual([[], []]);
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

test("a burst of large frames is left to the tree, which writes as much at a time", async () => {
  const { bursts, published } = burstsTo(connection("raw", "a"));

  for (let count = 0; count < BURST; count++) bursts.publish("a", Buffer.alloc(600, "x"));

  await endOfTurn();
  expect(published.length).toBe(BURST);
});

test("a connection over its limit is sent no more of the burst; the others get it all", async () => {
  const [slow, quick] = [connection("raw", "a", 3), connection("raw", "a")];
  const { bursts } = burstsTo(slow, quick);

  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));

  await endOfTurn();
  const rest = numbers(BURST).slice(AT_ONCE);
  expect(slow.writes).toEqual([rest.slice(0, 3)]);
  expect(quick.writes).toEqual([rest]);
});

test("flushing writes what is pending, once; what comes for another tree does too", async () => {
  const { bursts, published } = burstsTo(connection("raw", "a"));
  const written = () => published.map(([, frame]) => frame);
  for (const text of numbers(AT_ONCE + 1)) bursts.publish("a", Buffer.from(text));
  expect(written()).toEqual(numbers(AT_ONCE));

  bursts.flush();
  expect(written()).toEqual(numbers(AT_ONCE + 1));

  bursts.publish("a", Buffer.from("gathered"));
  bursts.publish("b", Buffer.from("other"));
  expect(written().slice(-2)).toEqual(["gathered", "other"]);
  await endOfTurn();
  expect(published.length).toBe(AT_ONCE + 3);
});

test("in the next turn a tree is handed as much at once again", async () => {
  const { bursts, published } = burstsTo(connection("raw", "a"));
  for (const text of numbers(AT_ONCE)) bursts.publish("a", Buffer.from(text));

  await endOfTurn();
  bursts.publish("a", Buffer.from("next"));

  expect(published.length).toBe(AT_ONCE + 1);
});

test("no more than a mebibyte is gathered", () => {
  const { bursts, published } = burstsTo(connection("raw", "a"));

  for (let count = 0; count < AT_ONCE + 3; count++) bursts.publish("a", Buffer.alloc(600_000, "x"));

  expect(published.length).toBe(AT_ONCE + 2);
});
