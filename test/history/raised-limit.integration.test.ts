import { expect, test } from "vitest";
import { everyone, topic } from "../support/durable.ts";
import { openHistory, startHistory, type TestHistory } from "../support/history.ts";
import { appended, numbers, replay } from "../support/history-calls.ts";
import { askStream, editStream } from "../support/jetstream.ts";
import { startNats } from "../support/nats.ts";
import { until } from "../support/wait.ts";

const HISTORY = "FANWIRE_HISTORY";

async function descriptionOf({ bus }: TestHistory): Promise<string | undefined> {
  return (await askStream(bus, `INFO.${HISTORY}`)).config?.description;
}

const raised = { max_msgs_per_subject: 1_000 };

test("publications dropped under a lower limit are missing after the limit was raised, also for services that start later", async () => {
  await using nats = await startNats();
  await using opened = await openHistory({ servers: [nats.url], config: { maxPerSubject: 3 } });
  const first = await appended(opened, everyone, "remains stored");
  for (const n of numbers(8)) await appended(opened, topic("full"), n);
  const quiet = topic("quiet");

  await editStream(opened.bus, HISTORY, raised);
  expect(await replay(opened, topic("full"), first)).toMatchObject({ isComplete: false });
  expect(await opened.history.lostSubjects(first, 6)).toMatchObject({
    subjects: new Set([opened.subjects.history(topic("full"))]),
  });
  expect(await replay(opened, quiet, first)).toMatchObject({ isComplete: true });
  await until("the earlier limit is recorded", async () =>
    (await descriptionOf(opened))?.includes("(kept per subject: 1000, 3 through 9)"),
  );

  await using later = await openHistory({ servers: [nats.url] });
  expect(await replay(later, topic("full"), first)).toMatchObject({ isComplete: false });
  const atRaise = { ...first, sequence: 9 };
  for (const n of numbers(5)) await appended(later, topic("full"), n);
  expect(await replay(later, topic("full"), atRaise)).toMatchObject({ isComplete: true });
});

test("a limit that is lowered and raised again within a minute is noticed, without a publication or a resume in between", async () => {
  await using nats = await startNats();
  await using opened = await openHistory({ servers: [nats.url] });
  const first = await appended(opened, everyone, "remains stored");
  for (const n of numbers(8)) await appended(opened, topic("full"), n);

  await editStream(opened.bus, HISTORY, { max_msgs_per_subject: 3 });
  await until("the lower limit is recorded", async () =>
    (await descriptionOf(opened))?.includes("(kept per subject: 3)"),
  );
  await editStream(opened.bus, HISTORY, raised);

  expect(await replay(opened, topic("full"), first)).toMatchObject({ isComplete: false });
});

test("a stream without a record gets one, and keeps its epoch mark", async () => {
  await using nats = await startNats();
  await using editor = await openHistory({ servers: [nats.url] });
  const before = await openHistory({ servers: [nats.url], config: { maxPerSubject: 3 } });
  await appended(before, everyone, "1");
  await before[Symbol.asyncDispose]();
  const mark = "Ours (epoch mark 00000001)";
  await editStream(editor.bus, HISTORY, { description: mark });

  await using opened = await openHistory({ servers: [nats.url] });
  const { epoch } = await appended(opened, everyone, "2");

  expect(epoch).toMatch(/00000001$/);
  await until("the limit is recorded", async () => (await descriptionOf(opened)) === `(kept per subject: 3) ${mark}`);
  expect((await appended(opened, everyone, "3")).epoch).toBe(epoch);
});

const republish = { src: "fanwire.history.>", dest: "fanwire.live.>" };
test.each([
  ["lets publishers delete earlier publications by a rollup", { republish, allow_rollup_hdrs: true }],
  ["does not republish fanwire.history.> to fanwire.live.>", {}],
])("a stream that %s is not used", async (reason, settings) => {
  await using opened = await startHistory();
  await appended(opened, everyone, "1");
  await askStream(opened.bus, `DELETE.${HISTORY}`);
  const config = { name: HISTORY, subjects: ["fanwire.history.>"], ...settings };
  expect(await askStream(opened.bus, `CREATE.${HISTORY}`, config)).not.toHaveProperty("error");

  expect(await opened.history.state()).toMatchObject({
    ok: false,
    reason: "unusable",
    detail: `the stream FANWIRE_HISTORY ${reason}`,
  });
});
