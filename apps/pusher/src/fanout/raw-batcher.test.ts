import { setImmediate as endOfTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { RawBatcher } from "./raw-batcher.ts";
import { SlowConsumerBuffer } from "./slow-consumers.ts";
import { noteWrites } from "./write-recorder.testing.ts";

const BURST = 64;

/** A connection in a group; `takes` frames, then it is over its limit. */
function connection(group: string, takes?: number) {
  return { ...noteWrites(takes), group };
}

type Recorded = ReturnType<typeof connection>;

function burstsTo(...connected: Recorded[]) {
  const members = (name: string) => connected.filter(({ group }) => group === name);
  const published: [group: string, frame: string, isBinary: boolean][] = [];
  const groups = {
    publish: (group: string, frame: string | Uint8Array, isBinary: boolean) =>
      void published.push([group, Buffer.from(frame).toString(), isBinary]),
    members,
    count: (group: string) => members(group).length,
    walked: () => connected.length,
  };
  const shared = new SlowConsumerBuffer({ groups, maxBytes: 1_000_000 });
  return { bursts: new RawBatcher(groups, shared), published };
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, number) => String(number));
}

test("what comes in one turn is left to the group, in order, when the turn ends", async () => {
  const { bursts, published } = burstsTo(connection("a"));

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

test("a burst is written to each follower of the raw protocol at once, and to nobody else", async () => {
  const subscribers = [connection("a"), connection("a")];
  const other = connection("b");
  const { bursts, published } = burstsTo(...subscribers, other);

  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));
  expect(subscribers.map(({ writes }) => writes)).toEqual([[], []]);

  await endOfTurn();
  expect(subscribers.map(({ writes }) => writes)).toEqual([[numbers(BURST)], [numbers(BURST)]]);
  expect(other.writes).toEqual([]);
  expect(published).toEqual([]);
});

test("behind what waits in groups the first of a burst is written alone, and the rest together", async () => {
  const follower = connection("a");
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

test("a burst for a few among many is left to the group", async () => {
  const { bursts, published } = burstsTo(connection("a"), ...Array.from({ length: 9 }, () => connection("b")));

  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));

  await endOfTurn();
  expect(published.map(([, frame]) => frame)).toEqual(numbers(BURST));
});

test("a few large ones are a burst as well", async () => {
  const follower = connection("a");
  const { bursts, published } = burstsTo(follower);
  const large = ["x", "y", "z"].map((letter) => letter.repeat(10_000));

  for (const text of large) bursts.publish("a", Buffer.from(text));

  await endOfTurn();
  expect(follower.writes).toEqual(large.map((text) => [text]));
  expect(published).toEqual([]);
});

test("a connection over its limit is sent no more of the burst; the others get it all", async () => {
  const [slow, quick] = [connection("a", 3), connection("a")];
  const { bursts } = burstsTo(slow, quick);

  for (const text of numbers(BURST)) bursts.publish("a", Buffer.from(text));

  await endOfTurn();
  expect(slow.writes).toEqual([numbers(3)]);
  expect(quick.writes).toEqual([numbers(BURST)]);
});

test("flushing writes what is pending, once", async () => {
  const { bursts, published } = burstsTo(connection("a"));
  bursts.publish("a", Buffer.from("1"));

  bursts.flush();
  expect(published.map(([, frame]) => frame)).toEqual(["1"]);

  bursts.publish("a", Buffer.from("2"));
  await endOfTurn();
  expect(published.map(([, frame]) => frame)).toEqual(["1", "2"]);
});

test("no more than a mebibyte is gathered", () => {
  const follower = connection("a");
  const { bursts } = burstsTo(follower);

  for (let count = 0; count < 3; count++) bursts.publish("a", Buffer.alloc(600_000, "x"));

  expect(follower.writes.flat().length).toBe(2);
});
