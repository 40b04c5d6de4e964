import { expect, test } from "vitest";
import { everyone, topic } from "../support/durable.ts";
import { startHistory, type TestHistory } from "../support/history.ts";
import { appended, numbers, replay } from "../support/history-calls.ts";
import { askStream } from "../support/jetstream.ts";
import { until } from "../support/wait.ts";

const LAST = "FANWIRE_HISTORY_LAST";

/** Sends a request about the stream. Returns whether it was answered without an error. */
async function ask({ bus }: TestHistory, request: string, body: object = {}): Promise<boolean> {
  return (await askStream(bus, `${request}.${LAST}`, body)).error === undefined;
}

test("last publications are kept again after their stream was deleted, and prove what is stored from then on", async () => {
  // Five busy publications push everything else out.
  await using opened = await startHistory({ maxBytes: 100_000 });
  const busy = async () => {
    for (const _ of numbers(5)) await appended(opened, topic("busy"), "x".repeat(30_000));
  };
  const before = await appended(opened, everyone, "1");
  await opened.history.state();
  await until("the stream exists", () => ask(opened, "INFO"));
  expect(await ask(opened, "PURGE", { filter: opened.subjects.history(everyone) })).toBe(false);
  expect(await ask(opened, "DELETE")).toBe(true);
  await busy();

  expect(await replay(opened, topic("quiet"), before)).toMatchObject({ isComplete: false });
  await until("the stream exists again", async () => {
    await opened.history.state();
    return ask(opened, "INFO");
  });

  const after = await appended(opened, everyone, "2");
  const query = { last_by_subj: opened.subjects.history(everyone) };
  await until("the stream has received the publication", () => ask(opened, "MSG.GET", query));
  await busy();
  await until("a quiet topic is proved", async () => (await replay(opened, topic("quiet"), after)).isComplete);
  expect(await replay(opened, topic("busy"), after)).toMatchObject({ isComplete: false });
});

test("many gaps are examined together, and no full topic is lost of which only older publications were dropped", async () => {
  await using opened = await startHistory({ maxPerSubject: 3 });
  const { history, subjects } = opened;
  await history.state();
  await until("the stream exists", () => ask(opened, "INFO"));
  for (const n of numbers(3)) await appended(opened, topic("full"), n);
  const since = await appended(opened, topic("before"), "0");
  await appended(opened, topic("full"), "newer");
  const received = [since.sequence + 1];
  for (const n of numbers(8)) {
    await appended(opened, topic("hot"), n);
    const quiet = topic(`quiet.${n}`);
    received.push((await appended(opened, quiet, n)).sequence);
    // Otherwise the history may drop some before the stream has received them, and then proves less.
    await until("the stream has received both", () =>
      ask(opened, "MSG.GET", { last_by_subj: subjects.history(quiet) }),
    );
  }

  // The last three of the hot topic are still stored.
  const upTo = (received.at(-4) ?? 0) - 1;
  const known = received.filter((sequence) => sequence <= upTo);
  const lost = { ok: true, subjects: new Set([subjects.history(topic("hot"))]), through: upTo };
  // Until the stream is complete, the full topic may have lost one.
  await expect.poll(() => history.lostSubjects(since, upTo, known)).toEqual(lost);
});
