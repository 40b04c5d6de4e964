import { expect, test } from "vitest";
import { everyone, topic } from "../support/durable.ts";
import { openHistory, type TestHistory } from "../support/history.ts";
import { appended, numbers, replay } from "../support/history-calls.ts";
import { startNats } from "../support/nats.ts";
import { until } from "../support/wait.ts";

type StreamConfig = Readonly<Record<string, unknown>> & { readonly description?: string };

/** Sends a request to JetStream without code of the history. */
async function ask(opened: TestHistory, request: string, body: object = {}): Promise<{ config: StreamConfig }> {
  const content = Buffer.from(JSON.stringify(body));
  const outcome = await opened.bus.request(`$JS.API.STREAM.${request}.FANWIRE_HISTORY`, content, { timeoutMs: 5_000 });
  if (!outcome.ok) throw new Error(outcome.reason);
  const answer = JSON.parse(Buffer.from(outcome.message.data).toString());
  if (answer.error !== undefined) throw new Error(answer.error.description);
  return answer;
}

/** Changes the configuration, as `nats stream edit` does. */
async function edit(opened: TestHistory, change: object): Promise<void> {
  const { config } = await ask(opened, "INFO");
  await ask(opened, "UPDATE", { ...config, ...change });
}

const descriptionOf = async (opened: TestHistory) => (await ask(opened, "INFO")).config.description;
const raised = { max_msgs_per_subject: 1_000 };

test("publications dropped under a lower limit are missing after the limit was raised, also for services that start later", async () => {
  await using nats = await startNats();
  await using opened = await openHistory({ servers: [nats.url], config: { maxPerSubject: 3 } });
  const first = await appended(opened, everyone, "remains stored");
  for (const n of numbers(8)) await appended(opened, topic("full"), n);
  const quiet = topic("quiet");

  await edit(opened, raised);
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

test("a limit that was raised while no service ran is noticed", async () => {
  await using nats = await startNats();
  await using editor = await openHistory({ servers: [nats.url] });
  const opened = await openHistory({ servers: [nats.url], config: { maxPerSubject: 3 } });
  const first = await appended(opened, everyone, "remains stored");
  for (const n of numbers(8)) await appended(opened, topic("full"), n);
  await opened[Symbol.asyncDispose]();

  await edit(editor, raised);

  await using later = await openHistory({ servers: [nats.url] });
  expect(await replay(later, topic("full"), first)).toMatchObject({ isComplete: false });
});

test("a limit that is lowered and raised again within a minute is noticed, without a publication or a resume in between", async () => {
  await using nats = await startNats();
  await using opened = await openHistory({ servers: [nats.url] });
  const first = await appended(opened, everyone, "remains stored");
  for (const n of numbers(8)) await appended(opened, topic("full"), n);

  await edit(opened, { max_msgs_per_subject: 3 });
  await until("the lower limit is recorded", async () =>
    (await descriptionOf(opened))?.includes("(kept per subject: 3)"),
  );
  await edit(opened, raised);

  expect(await replay(opened, topic("full"), first)).toMatchObject({ isComplete: false });
});

test("a stream without a record gets one, and keeps its epoch mark", async () => {
  await using nats = await startNats();
  await using editor = await openHistory({ servers: [nats.url] });
  const before = await openHistory({ servers: [nats.url], config: { maxPerSubject: 3 } });
  await appended(before, everyone, "1");
  await before[Symbol.asyncDispose]();
  const mark = "Ours (epoch mark 00000001)";
  await edit(editor, { description: mark });

  await using opened = await openHistory({ servers: [nats.url] });
  const { epoch } = await appended(opened, everyone, "2");

  expect(epoch).toMatch(/00000001$/);
  await until("the limit is recorded", async () => (await descriptionOf(opened)) === `(kept per subject: 3) ${mark}`);
  expect((await appended(opened, everyone, "3")).epoch).toBe(epoch);
});

test("a stream in which publishers may delete earlier publications is not used", async () => {
  await using nats = await startNats();
  await using opened = await openHistory({ servers: [nats.url] });
  await appended(opened, everyone, "1");
  await ask(opened, "DELETE");
  await ask(opened, "CREATE", {
    name: "FANWIRE_HISTORY",
    subjects: ["fanwire.history.>"],
    republish: { src: "fanwire.history.>", dest: "fanwire.live.>" },
    allow_rollup_hdrs: true,
  });

  expect(await opened.history.state()).toMatchObject({
    ok: false,
    reason: "unusable",
    detail: "the stream FANWIRE_HISTORY lets publishers delete earlier publications by a rollup",
  });
});
