import { setImmediate as endOfTick } from "node:timers/promises";
import { expect, test } from "vitest";
import { DirectWrites, writeBatched, writeEach } from "./direct-writes.ts";
import { noteWrites } from "./write-recorder.testing.ts";

const JOINING = { separator: "\n", maxBytes: 32_768 };

const bytes = (text: string) => Buffer.from(text);

test("the publications of one tick for a connection are one write, when the tick ends", async () => {
  const direct = new DirectWrites<Uint8Array>(writeEach);
  const [anna, bob] = [noteWrites(), noteWrites()];

  for (const text of ["1", "2"]) direct.push(anna, bytes(text));
  direct.push(bob, bytes("3"));
  direct.push(anna, Buffer.from([0xff]));

  expect([anna.writes, bob.writes]).toEqual([[], []]);
  await endOfTick();
  expect([anna.writes, bob.writes]).toEqual([[["1", "2", "binary"]], [["3"]]]);
});

test("flushing writes pending publications once", async () => {
  const direct = new DirectWrites<Uint8Array>(writeEach);
  const anna = noteWrites();
  direct.push(anna, bytes("1"));

  direct.flush();
  expect(anna.writes).toEqual([["1"]]);
  direct.push(anna, bytes("2"));
  await endOfTick();
  await endOfTick();
  expect(anna.writes).toEqual([["1"], ["2"]]);
});

test("a connection over its limit receives nothing further, and the others do", async () => {
  const direct = new DirectWrites<Uint8Array>(writeEach);
  const batched = new DirectWrites<string>(writeBatched(JOINING));
  const [slow, other, slowJoined] = [noteWrites(1), noteWrites(), noteWrites(1)];
  for (const text of ["1", "2", "3"]) for (const one of [slow, other]) direct.push(one, bytes(text));
  for (const letter of ["a", "b", "c"]) batched.push(slowJoined, letter.repeat(65_536));

  await endOfTick();
  expect([slow.writes, other.writes]).toEqual([[["1"]], [["1", "2", "3"]]]);
  expect(slowJoined.writes).toEqual([["a".repeat(65_536)]]);
});

test("batched messages share frames", async () => {
  const direct = new DirectWrites<string>(writeBatched(JOINING));
  const anna = noteWrites();
  const long = "x".repeat(40_000);

  for (const message of ["1", "2", long, "3", "4"]) direct.push(anna, message);

  await endOfTick();
  expect(anna.writes).toEqual([["1\n2"], [long], ["3\n4"]]);
});
