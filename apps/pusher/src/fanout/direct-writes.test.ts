import { setImmediate as endOfTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { DirectWrites, writeEach, writeJoined } from "./direct-writes.ts";
import { fanwireJoining } from "./frame-batcher.ts";
import { noteWrites } from "./write-recorder.testing.ts";

const bytes = (text: string) => Buffer.from(text);

test("what one turn brings for a connection is one write, when the turn ends", async () => {
  const own = new DirectWrites<Uint8Array>(writeEach);
  const [anna, bob] = [noteWrites(), noteWrites()];

  for (const text of ["1", "2"]) own.push(anna, bytes(text));
  own.push(bob, bytes("3"));
  own.push(anna, Buffer.from([0xff]));

  expect([anna.writes, bob.writes]).toEqual([[], []]);
  await endOfTurn();
  expect([anna.writes, bob.writes]).toEqual([[["1", "2", "binary"]], [["3"]]]);
});

test("flushing writes what is pending, once", async () => {
  const own = new DirectWrites<Uint8Array>(writeEach);
  const anna = noteWrites();
  own.push(anna, bytes("1"));

  own.flush();
  expect(anna.writes).toEqual([["1"]]);
  own.push(anna, bytes("2"));
  await endOfTurn();
  await endOfTurn();
  expect(anna.writes).toEqual([["1"], ["2"]]);
});

test("one that has closed is not written to", async () => {
  const own = new DirectWrites<Uint8Array>(writeEach);
  const [anna, bob] = [noteWrites(), noteWrites()];
  for (const one of [anna, bob]) own.push(one, bytes("1"));

  own.forget(anna);

  await endOfTurn();
  expect([anna.writes, bob.writes]).toEqual([[], [["1"]]]);
});

test("one that is over its limit is being ended, and gets no more; the others do", async () => {
  const own = new DirectWrites<Uint8Array>(writeEach);
  const joined = new DirectWrites<string>(writeJoined(fanwireJoining));
  const [slow, other, slowJoined] = [noteWrites(1), noteWrites(), noteWrites(1)];
  for (const text of ["1", "2", "3"]) for (const one of [slow, other]) own.push(one, bytes(text));
  for (const letter of ["a", "b", "c"]) joined.push(slowJoined, letter.repeat(65_536));

  await endOfTurn();
  expect([slow.writes, other.writes]).toEqual([[["1"]], [["1", "2", "3"]]]);
  expect(slowJoined.writes).toEqual([["a".repeat(65_536)]]);
});

test("joined messages share frames", async () => {
  const own = new DirectWrites<string>(writeJoined(fanwireJoining));
  const anna = noteWrites();
  const long = "x".repeat(40_000);

  for (const message of ["1", "2", long, "3", "4"]) own.push(anna, message);

  await endOfTurn();
  expect(anna.writes).toEqual([["1\n2"], [long], ["3\n4"]]);
});
