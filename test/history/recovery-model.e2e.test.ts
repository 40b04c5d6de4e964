import { type DurableTarget, parsePosition } from "@fanwire/protocol";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { everyone, topic } from "../support/durable.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire, type FanwireMessage } from "../support/fanwire-client.ts";
import { RecoveryModel, type ResumingReader, type Stored, type Truth } from "../support/recovery-model.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** Number of readers that resume. Set the variable to 100000 for a run of minutes. */
const READERS = Number(process.env.FANWIRE_RECOVERY_READERS ?? 150);
/** Readers that resume at once in one state of the history. Many make a long run fast, few make a short run varied. */
const AT_ONCE = READERS > 1_000 ? { minLength: 80, maxLength: 160 } : { minLength: 1, maxLength: 12 };
/** Rounds for each recreation of the history, which workers need seconds to detect. */
const RECREATE_EVERY = READERS > 1_000 ? 40 : 4;
const MAX_REPORTED = 10;
const SEED = Number(process.env.FANWIRE_RECOVERY_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Nanoseconds, the minimum that JetStream allows. */
const SHORT_AGE = 100_000_000;
const USERS = ["anna", "bob"];
const TARGETS: readonly DurableTarget[] = [
  ...["a", "a.b", "a.c", "d"].map(topic),
  ...USERS.map((user) => ({ kind: "user" as const, user })),
  everyone,
];
const PATTERNS = ["a", "a.b", "a.*", "a.>", "d", "*", ">"];

const { history, pusher } = useCluster({
  pusher: { PUSHER_WORKERS: "1", PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: ">" },
});
const tokens = new Map<string, string>();
const model = new RecoveryModel();
/** Wrong answers, with the state that explains them. */
const findings: string[] = [];
/** Number of readers by truth and answer, and of other events. */
const counts = new Map<string, number>();
let epoch = "";
let config: object = {};

beforeAll(async () => {
  for (const user of USERS) tokens.set(user, await signToken({ sub: user }));
});

const target = fc.constantFrom(...TARGETS);
/** Limits of the stream, for each subject and in total. */
const limits = fc.record({
  perSubject: fc.integer({ min: 3, max: 10 }),
  whole: fc.oneof(
    { weight: 4, arbitrary: fc.constant({}) },
    { weight: 2, arbitrary: fc.integer({ min: 5, max: 30 }).map((max_msgs) => ({ max_msgs })) },
    { weight: 1, arbitrary: fc.integer({ min: 500, max: 2_000 }).map((max_bytes) => ({ max_bytes })) },
  ),
});
const since = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("of-now" as const), back: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("of-before" as const), at: fc.nat(1_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("last" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("future" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("malformed" as const),
      text: fc.constantFrom("", "x", "-1", "1", "a-01", "a-1-1", "a--1", "another-3"),
    }),
  },
);
const reader = fc.record({
  patterns: fc.uniqueArray(fc.constantFrom(...PATTERNS), { maxLength: 4 }),
  user: fc.constantFrom(undefined, ...USERS),
  /** A new fanwire.v1 connection, a subscription of an open connection, or an event stream. */
  by: fc.constantFrom("connection" as const, "subscription" as const, "events" as const),
  since,
});
const onceIn = <Value>(rounds: number, arbitrary: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: rounds - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
const round = fc.record({
  recreate: onceIn(RECREATE_EVERY, limits),
  publish: fc.array(target, { maxLength: 30 }),
  /** Whether everything stored expires before the rest is published. */
  ageOut: onceIn(10, fc.constant(true)),
  publishAfter: fc.array(target, { maxLength: 10 }),
  /** Share of the stream that is purged, oldest first. */
  purge: onceIn(6, fc.double({ min: 0, max: 1, noNaN: true })),
  publishMeanwhile: fc.array(target, { maxLength: 6 }),
  readers: fc.array(reader, { ...AT_ONCE, size: "max" }),
});
type Since = typeof since extends fc.Arbitrary<infer Value> ? Value : never;
type Reader = typeof reader extends fc.Arbitrary<infer Value> ? Value : never;
type Round = typeof round extends fc.Arbitrary<infer Value> ? Value : never;

/** Sends a request to JetStream without code of the bus. */
async function ask(request: string, body: object = {}): Promise<Record<string, unknown>> {
  const content = Buffer.from(JSON.stringify(body));
  const outcome = await history.bus.request(`$JS.API.STREAM.${request}.FANWIRE_HISTORY`, content, { timeoutMs: 5_000 });
  if (!outcome.ok) throw new Error(outcome.reason);
  return JSON.parse(Buffer.from(outcome.message.data).toString());
}

/** Recreates the history. Retries if the pusher has created it first. */
async function recreate({ perSubject, whole }: NonNullable<Round["recreate"]>): Promise<void> {
  config = {
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
  do await ask("DELETE");
  while ((await ask("CREATE", config)).error !== undefined);
  epoch = (await stored()).epoch;
}

async function ageOut(): Promise<void> {
  await ask("UPDATE", { ...config, max_age: SHORT_AGE });
  await until("all publications have expired", async () => {
    const { first, last } = await stored();
    return first > last || last === 0;
  });
  await ask("UPDATE", config);
}

async function stored(): Promise<Stored> {
  const state = await history.history.state();
  if (!state.ok) throw new Error(state.detail);
  const info = await ask("INFO", { deleted_details: true });
  const {
    first_seq,
    last_seq,
    deleted = [],
  } = info.state as {
    first_seq: number;
    last_seq: number;
    deleted?: number[];
  }; // as JetStream documents it
  const { epoch, maxPerSubject } = state.history;
  return { epoch, maxPerSubject, first: first_seq, last: last_seq, deleted: new Set(deleted) };
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
      if (!String(error).includes("closed with 4500")) throw error;
      count("closed");
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
  if (made !== null) await recreate(made);
  await Promise.all(targets.map(publish));
  if (isAgedOut) await ageOut();
  await Promise.all(publishAfter.map(publish));
  const { last: newest } = await stored();
  if (purge !== null) await ask("PURGE", { seq: Math.ceil(newest * purge) });

  const before = await stored();
  const [returned] = await Promise.all([
    Promise.all(readers.map((each) => resume(each, before.last))),
    (async () => {
      for (const each of publishMeanwhile) await publish(each);
    })(),
  ]);
  const after = await stored();
  const end = await publish(everyone);

  for (const each of returned) {
    try {
      await until("the last publication arrives", () => each.has(end) || each.closeCode() !== undefined);
      if (each.closeCode() === undefined) check(each, { before, after });
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

function check({ reader, by, recovered, reason, got }: Resumed, history: { before: Stored; after: Stored }): void {
  const truth = truthBetween(reader, history.before, history.after);
  count(`${truth}: ${recovered}`);
  // An event does not name its subscription.
  const publications = by === "events" ? got() : withoutRepeats(got());
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
  expect(truth, `nothing is missing, which can be proved, but the reason was ${reason}`).not.toBe("provable");
}

/** Checks a reader that the worker closed, because its subscription lost publications while the history was recreated. */
function checkClosed({ closeCode }: Resumed): void {
  count("closed");
  expect(closeCode()).toBe(4500);
}

/**
 * Removes duplicates. A worker may deliver twice when a history is recreated whose sequences were as low as those of the
 * new one, because it cannot distinguish them at once.
 */
function withoutRepeats(publications: readonly FanwireMessage[]): FanwireMessage[] {
  const seen = new Set<string>();
  return publications.filter(({ subscription, topic, data }) => {
    const key = `${subscription ?? topic} ${data}`;
    if (seen.has(key)) count("repeated");
    else return seen.add(key);
    return false;
  });
}

/** Checks that each subscription received its publications in order. */
function expectOrder(publications: readonly FanwireMessage[]): void {
  const last = new Map<unknown, number>();
  for (const { subscription, topic, data } of publications) {
    const key = subscription ?? topic;
    if (key !== undefined) expect(Number(data)).toBeGreaterThan(last.get(key) ?? -1);
    last.set(key, Number(data));
  }
}

/** Checks that the positions of a client never decrease. */
function expectPositions(publications: readonly FanwireMessage[]): void {
  const sequences = publications.flatMap(({ position }) => parsePosition(String(position)) ?? []);
  for (const [at, { epoch, sequence, copy = "9999999999" }] of sequences.entries()) {
    const before = sequences[at - 1];
    if (before?.epoch !== epoch) continue;
    const grows = before.sequence < sequence || (before.sequence === sequence && (before.copy ?? "") <= copy);
    expect(grows, `position ${at} falls`).toBe(true);
  }
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
  expect(counts.get("repeated") ?? 0).toBeLessThan(READERS / 20);
  expect(counts.get("lost: false")).toBeGreaterThan(READERS / 20);
}, 3_600_000);
