import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { DurableTarget } from "@fanwire/protocol";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { everyone } from "../support/durable.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire, type FanwireMessage } from "../support/fanwire-client.ts";
import { askStream, type StreamAnswer } from "../support/jetstream.ts";
import { expectNoRepeats, expectOrder, expectPositions } from "../support/recovery-checks.ts";
import { RecoveryModel, type ResumingReader, type Stored, type Truth } from "../support/recovery-model.ts";
import { type Reader, type Round, roundOf, type Since, USERS } from "../support/recovery-rounds.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** Number of readers that resume. Set the variable to 100000 for a run of minutes. */
const READERS = Number(process.env.FANWIRE_RECOVERY_READERS ?? 150);
/**
 * Readers that resume at the same time in one state of the history. Many make a long run fast, few make a short run
 * varied.
 */
const AT_ONCE = READERS > 1_000 ? { minLength: 80, maxLength: 160 } : { minLength: 1, maxLength: 12 };
/** Rounds for each recreation of the history, which workers need seconds to detect. */
const RECREATE_EVERY = READERS > 1_000 ? 40 : 4;
const MAX_REPORTED = 10;
const SEED = Number(process.env.FANWIRE_RECOVERY_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Rounds for each fault. */
const FAULT_EVERY = READERS > 1_000 ? 8 : 5;
/** How a client fails whose worker asks it to reconnect, or was killed. */
const FAILED_TO_CONNECT = /closed with (4500|1006)|ECONN|socket hang up/;
/** Nanoseconds, the minimum that JetStream allows. */
const SHORT_AGE = 100_000_000;

const { link, history, pusher } = useCluster({
  pusher: { PUSHER_WORKERS: "2", PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: ">" },
});
const tokens = new Map<string, string>();
const model = new RecoveryModel();
/** Wrong answers, with the state that explains them. */
const findings: string[] = [];
/** Number of readers by truth and answer, and of other events. */
const counts = new Map<string, number>();
let epoch = "";

beforeAll(async () => {
  for (const user of USERS) tokens.set(user, await signToken({ sub: user }));
});

function ask(request: string, body: object = {}): Promise<StreamAnswer> {
  return askStream(history.bus, `${request}.FANWIRE_HISTORY`, body);
}

/**
 * Recreates the history. Retries if the pusher has created it first. Retries also if a service has written the limits of
 * the former history, because it saved its record at the same moment.
 */
async function recreate({ perSubject, whole }: NonNullable<Round["recreate"]>): Promise<void> {
  const config = {
    name: "FANWIRE_HISTORY",
    subjects: ["fanwire.history.>"],
    republish: { src: "fanwire.history.>", dest: "fanwire.live.>" },
    retention: "limits",
    discard: "old",
    storage: "memory",
    num_replicas: 1,
    duplicate_window: SHORT_AGE,
    max_msgs_per_subject: perSubject,
    ...whole,
  };
  await until("the history has the new limits", async () => {
    await ask("DELETE");
    if ((await ask("CREATE", config)).error !== undefined) return false;
    const limit = await until("a service has saved the limit", async () => {
      const { config: present } = await ask("INFO");
      return /^\(kept per subject: .*?\)/.exec(present?.description ?? "")?.[0];
    });
    return limit === `(kept per subject: ${perSubject})`;
  });
  epoch = (await stored()).epoch;
}

/**
 * Changes the stream as a tool of an operator does, which keeps the rest. A service that saves its record of limits at
 * the same moment overwrites the change. It may do so after the change was in force, so callers repeat it.
 */
async function change(changes: Readonly<Record<string, number>>): Promise<void> {
  await until("the change is in force", async () => {
    const { config: present } = await ask("INFO");
    if (Object.entries(changes).every(([name, value]) => present?.[name] === value)) return true;
    await ask("UPDATE", { ...present, ...changes });
    return false;
  });
}

async function ageOut(): Promise<void> {
  await until("all publications have expired", async () => {
    await change({ max_age: SHORT_AGE });
    const { first, last } = await stored();
    return first > last || last === 0;
  });
  await change({ max_age: 0 });
}

/** Changes the number kept for each subject. Resolves when every worker has seen it. */
async function edit(perSubject: number): Promise<void> {
  // A service that saved its record while the history was recreated has written the limit of the former one.
  const { maxPerSubject: before } = await stored();
  const { last } = await until("every worker has seen a limit that stays", async () => {
    await change({ max_msgs_per_subject: perSubject });
    // Enough resumes for both workers to have some.
    const resuming = Array.from({ length: 16 }, () => connectFanwire(pusher.url, { since: `${epoch}-0` }));
    for (const each of await Promise.allSettled(resuming)) {
      if (each.status === "fulfilled") each.value.socket.terminate();
    }
    const now = await stored();
    return now.maxPerSubject === perSubject ? now : undefined;
  });
  if (perSubject > before) model.addLowerLimit(epoch, { limit: before, through: last });
}

/** Begins to lose messages of the history on their way to the workers. */
function lose(oneOf: number): void {
  let messages = 0;
  link.drop = (subject) => {
    if (!subject.startsWith("fanwire.live.") && !subject.startsWith("fanwire.history.")) return false;
    messages++;
    return messages % oneOf === 0;
  };
}

async function fail(fault: NonNullable<Round["fault"]>): Promise<void> {
  count(fault);
  if (fault === "reset") {
    link.cut();
    link.heal();
    return;
  }
  const { pid } = pusher.process;
  const workers = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ");
  process.kill(Number(workers[0]), "SIGKILL");
}

async function stored(): Promise<Stored> {
  const state = await history.history.state();
  if (!state.ok) throw new Error(state.detail);
  const { state: described } = await ask("INFO", { deleted_details: true });
  if (described === undefined) throw new Error("not described");
  const { epoch, maxPerSubject } = state.history;
  const { first_seq: first, last_seq: last, deleted } = described;
  return { epoch, maxPerSubject, first, last, deleted: new Set(deleted) };
}

async function publish(to: DurableTarget): Promise<string> {
  const content = String(model.reserve());
  const outcome = await history.bus.request(history.subjects.history(to), Buffer.from(content), { timeoutMs: 5_000 });
  if (!outcome.ok) throw new Error(outcome.reason);
  const { seq } = JSON.parse(Buffer.from(outcome.message.data).toString()) as { seq: number };
  model.add({ epoch, sequence: seq, target: to, content });
  return content;
}

function positionOf(since: Since, last: number): string {
  switch (since.kind) {
    case "of-now":
      return `${epoch}-${Math.max(last - since.back, 0)}`;
    case "of-before":
      return `${model.epochBefore(epoch, since.at) ?? "none"}-${since.at % 20}`;
    case "last":
      return `${epoch}-${last}`;
    case "future":
      return `${epoch}-${last + 1_000}`;
    case "malformed":
      return since.text;
  }
}

type Resumed = {
  readonly reader: ResumingReader;
  readonly by: Reader["by"];
  readonly recovered: unknown;
  /** Reason if it was not recovered. */
  readonly reason: unknown;
  /** Publications of the resumed subscriptions so far. */
  got(): FanwireMessage[];
  /** Whether a publication to everyone has arrived. */
  has(content: string): boolean;
  /** Undefined while it is open. */
  closeCode(): number | undefined;
  leave(): void;
};

/** Resumes. Reconnects when the worker asks for it. */
async function resume(reader: Reader, last: number): Promise<Resumed> {
  for (;;) {
    try {
      return await (reader.by === "events" ? readAsEvents(reader, last) : connect(reader, last));
    } catch (error) {
      const { cause } = error as { cause?: unknown };
      if (!FAILED_TO_CONNECT.test(`${error} ${cause}`)) throw error;
      count("closed");
      await delay(20);
    }
  }
}

async function connect({ patterns, user, by, since }: Reader, last: number): Promise<Resumed> {
  const position = positionOf(since, last);
  const token = user === undefined ? {} : { token: tokens.get(user) ?? "" };
  const [pattern] = patterns;
  const bySubscription = by === "subscription" && pattern !== undefined;
  const client = await connectFanwire(
    pusher.url,
    bySubscription ? token : { ...token, topic: patterns, since: position },
  );
  const common = {
    has: (content: string) => client.data().includes(content),
    closeCode: () => client.close?.code,
    leave: () => client.socket.terminate(),
  };
  if (bySubscription) {
    const { recovered, reason } = await client.ask({ command: "subscribe", topic: pattern, since: position });
    const reader = { patterns: [pattern], user: undefined, includesEveryone: false, since: position };
    const got = () => client.publications.filter((each) => (each.subscription ?? each.topic) === pattern);
    return { ...common, by: "subscription", reader, recovered, reason, got };
  }
  const reader = { patterns, user, includesEveryone: true, since: position };
  const { recovered, reason } = client.welcome;
  return { ...common, by: "connection", reader, recovered, reason, got: () => client.publications };
}

async function readAsEvents({ patterns, user, since }: Reader, last: number): Promise<Resumed> {
  const position = positionOf(since, last);
  const target = new URL(pusher.sseUrl);
  for (const each of patterns) target.searchParams.append("topic", each);
  if (user !== undefined) target.searchParams.set("token", tokens.get(user) ?? "");
  target.searchParams.set("since", position);
  const stream = await readEvents(target.href);
  const [welcome] = stream.events();
  if (welcome?.event !== "fanwire.welcome") throw new Error(`closed with 4500: ${stream.text()}`);
  const publications = () => stream.events().filter(({ event }) => !event?.startsWith("fanwire."));
  return {
    by: "events",
    reader: { patterns, user, includesEveryone: true, since: position },
    ...(JSON.parse(welcome.data) as { recovered: unknown; reason: unknown }),
    got: () => publications().map(({ id, data }) => ({ type: "publication", position: id, data })),
    has: (content) => publications().some(({ data }) => data === content),
    closeCode: () => (stream.hasEnded() ? 4500 : undefined),
    leave: () => stream.close(),
  };
}

/** Returns the truth about a reader that resumed between two states of the history. */
function truthBetween(reader: ResumingReader, before: Stored, after: Stored): Truth {
  const [atFirst, atLast] = [model.truth(reader, before), model.truth(reader, after)];
  return atFirst === "provable" && atLast !== "provable" ? "unprovable" : atFirst;
}

async function play(round: Round): Promise<void> {
  const { recreate: made, publish: targets, ageOut: isAgedOut, publishAfter, purge, publishMeanwhile, readers } = round;
  const { edit: perSubject, loss, fault } = round;
  if (made !== null) await recreate(made);
  await Promise.all(targets.map(publish));
  if (isAgedOut) await ageOut();
  if (perSubject !== null) await edit(perSubject);
  await Promise.all(publishAfter.map(publish));
  const { last: newest } = await stored();
  if (purge !== null) await ask("PURGE", { seq: Math.ceil(newest * purge) });

  const before = await stored();
  if (loss !== null) lose(loss);
  if (fault !== null) await fail(fault);
  const [returned] = await Promise.all([
    Promise.all(readers.map((each) => resume(each, before.last))),
    (async () => {
      for (const each of publishMeanwhile) await publish(each);
    })(),
  ]);
  link.drop = () => false;
  const after = await stored();
  const end = await publish(everyone);

  for (const each of returned) {
    try {
      await until("the last publication arrives", () => each.has(end) || each.closeCode() !== undefined);
      if (each.closeCode() === undefined) check(each, { before, after, isDisturbed: loss !== null || fault !== null });
      else checkClosed(each);
    } catch (error) {
      report(each, { before, after }, error);
    }
    each.leave();
  }
}

function report({ reader, by, recovered, reason, got }: Resumed, states: object, error: unknown): void {
  const said = { by, reader, recovered, reason, got: got().map(({ position, data }) => `${position}: ${data}`) };
  const missed = model.missed(reader, epoch);
  const text = JSON.stringify({ ...said, missed, ...states }, (_, value) =>
    value instanceof Set ? [...value] : value,
  );
  findings.push(`${error instanceof Error ? error.message : error}\n${text}`);
}

type Between = { readonly before: Stored; readonly after: Stored; readonly isDisturbed: boolean };

function check({ reader, by, recovered, reason, got }: Resumed, history: Between): void {
  const truth = truthBetween(reader, history.before, history.after);
  count(`${truth}: ${recovered}`);
  // An event does not name its subscription.
  const publications = got();
  if (by !== "events") expectNoRepeats(publications);
  expectOrder(publications);
  expectPositions(publications);
  const contents = publications.map(({ data }) => Number(data));
  if (contents.some((content, at) => content < (contents[at - 1] ?? 0))) count("subjects out of order");

  if (recovered === true) {
    expect(["provable", "unprovable", "lost"], "a position of another history").toContain(truth);
    const missed = model.missed(reader, epoch).map(Number);
    const first = Math.min(...missed);
    const news = contents.filter((content) => content >= first);
    if (news.length < contents.length) count("received what it had");
    expect(news.sort(ascending), "all that was missed, and live after it, once").toEqual(missed.sort(ascending));
    return;
  }
  expect(recovered).toBe(false);
  count(`false: ${reason}`);
  // A worker that loses messages or has just started may not be able to read the history for ten seconds.
  if (reason === "unreadable" && history.isDisturbed) return;
  expect(truth, `nothing is missing, which can be proved, but the reason was ${reason}`).not.toBe("provable");
}

/**
 * Checks a reader that the worker closed, because its subscription lost publications while the history was recreated.
 */
function checkClosed({ closeCode }: Resumed): void {
  count("closed");
  expect(closeCode()).toBe(4500);
}

function ascending(one: number, other: number): number {
  return one - other;
}

function count(what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

test(`a resume is recovered if and only if that can be proved (seed ${SEED})`, async () => {
  await recreate({ perSubject: 5, whole: {} });
  let readers = 0;
  const startedAt = performance.now();
  const round = roundOf({ atOnce: AT_ONCE, recreateEvery: RECREATE_EVERY, faultEvery: FAULT_EVERY });
  const property = fc.asyncProperty(round, async (each) => {
    if (readers >= READERS || findings.length >= MAX_REPORTED) return;
    readers += each.readers.length;
    await play(each);
  });
  const numRuns = Math.ceil(READERS / AT_ONCE.minLength);
  await fc.assert(property, { seed: SEED, numRuns, endOnFailure: true });

  if (process.env.FANWIRE_RECOVERY_READERS) {
    console.info(readers, "readers in", Math.round(performance.now() - startedAt), "ms", Object.fromEntries(counts));
  }
  expect(findings.join("\n\n")).toBe("");
  expect(readers).toBeGreaterThanOrEqual(READERS);
  expect(counts.get("provable: true")).toBeGreaterThan(READERS / 20);
  expect(counts.get("lost: false")).toBeGreaterThan(READERS / 20);
}, 3_600_000);
