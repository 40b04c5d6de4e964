import type { Position } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { everyone, topic } from "../support/durable.ts";
import { startHistory } from "../support/history.ts";
import { appended, numbers, replay } from "../support/history-calls.ts";
import { until } from "../support/wait.ts";

test("a read of as many publications as a subject keeps is not complete, a read of fewer is", async () => {
  await using opened = await startHistory({ maxPerSubject: 20 });
  const start = await appended(opened, topic("a"), "start");
  const other = await appended(opened, topic("b"), "other");
  for (const n of numbers(19)) await appended(opened, topic("a"), n);

  expect(await replay(opened, topic("a"), other)).toMatchObject({ isComplete: true });
  expect((await replay(opened, topic("a"), start)).publications.length).toBe(19);
  const last = await appended(opened, topic("a"), "19");
  // The topic is full, and the publication at the position is of another topic, so that a gap cannot be excluded.
  expect(await replay(opened, topic("a"), other)).toMatchObject({ isComplete: false });
  expect(await replay(opened, topic("a"), { ...start, sequence: 0 })).toMatchObject({ isComplete: false });
  expect(await replay(opened, topic("b"), start)).toMatchObject({ isComplete: true });
  expect(await replay(opened, topic("*"), { ...start, sequence: 4 })).toMatchObject({ isComplete: true });
  expect(await replay(opened, topic("a"), last)).toEqual({ publications: [], isComplete: true });
});

test("a read is not complete after the history dropped publications by size", async () => {
  await using opened = await startHistory({ maxBytes: 100_000 });
  const positions: Position[] = [];
  for (const n of numbers(30)) positions.push(await appended(opened, topic(n), "x".repeat(10_000)));

  const state = await opened.history.state();
  if (!state.ok) throw new Error(state.detail);
  const { firstSequence } = state.history;
  expect(firstSequence).toBeGreaterThan(20);
  const since = (sequence: number) => ({ epoch: state.history.epoch, sequence });
  expect(await replay(opened, topic("*"), since(firstSequence - 1))).toMatchObject({ isComplete: true });
  expect(await replay(opened, topic("*"), since(firstSequence - 2))).toMatchObject({ isComplete: false });
  expect(await replay(opened, topic("never"), since(1))).toEqual({ publications: [], isComplete: false });
  expect(await replay(opened, topic("never"), since(31))).toMatchObject({ isComplete: false });
});

test("a read is not complete after the history dropped publications by age", async () => {
  await using opened = await startHistory({ maxAgeSeconds: 1 });
  const [first] = [await appended(opened, everyone, "1")];
  const last = await appended(opened, everyone, "2");

  await until("all connections are closed", async () => {
    const state = await opened.history.state();
    return state.ok && state.history.firstSequence === 3;
  });

  expect(await replay(opened, everyone, first)).toEqual({ publications: [], isComplete: false });
  expect(await replay(opened, everyone, last)).toEqual({ publications: [], isComplete: true });
});
