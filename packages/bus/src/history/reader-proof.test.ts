import { type HistoryState, Subjects } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { StoredPublication } from "./history.ts";
import type { MessageQuery, StoredMessage } from "./leader-messages.ts";
import { countSubjects, reasonOf } from "./proof-facts.ts";
import { singleReader } from "./reader.testing.ts";
import type { OpenStream } from "./stream.ts";

const subjects = new Subjects();
const pattern = subjects.historyFilter({ kind: "topic", topic: "a.>" });
const subjectOf = (topic: string) => subjects.history({ kind: "topic", topic });
const SINCE = { epoch: "e", sequence: 1 };

/** A stream that stores more whenever it is asked for a message, and keeps the last few of each subject. */
class BusyStream {
  readonly published: string[] = [];
  readonly #limit: number;
  readonly #later: string[][];
  #kept: { readonly sequence: number; readonly subject: string; readonly topic: string }[] = [];

  constructor(limit: number, before: readonly string[], later: readonly (readonly string[])[]) {
    this.#limit = limit;
    this.#later = later.map((topics) => [...topics]);
    // The first publication stays, so that none expires.
    for (const topic of ["first", ...before]) this.publish(topic);
  }

  get state(): HistoryState {
    return { epoch: "e", firstSequence: 1, lastSequence: this.published.length, maxPerSubject: this.#limit };
  }

  publish(topic: string): void {
    const subject = subjectOf(topic);
    const sequence = this.published.push(topic);
    this.#kept.push({ sequence, subject, topic });
    const same = this.#kept.filter((each) => each.topic === topic);
    if (same.length > this.#limit) this.#kept = this.#kept.filter((each) => each !== same[0]);
  }

  /** Publications that a client of the pattern has to receive up to a sequence. */
  due(through: number): number[] {
    return this.published.flatMap((topic, at) => (topic.startsWith("a.") && at < through ? [at + 1] : []));
  }

  next(query: MessageQuery): StoredMessage | null {
    const from = "seq" in query ? query.seq : 0;
    const found = this.#kept.find(({ sequence, topic }) => sequence >= from && topic.startsWith("a."));
    for (const topic of this.#later.shift() ?? []) this.publish(topic);
    return found === undefined ? null : { ...found, content: Buffer.alloc(0), headers: undefined, time: new Date(0) };
  }
}

/** Reads until the proof is decided, as a resume does. Reads singly, as without consumers. */
async function resume(stream: BusyStream) {
  const open = async (): Promise<OpenStream> => {
    return { ok: true, history: stream.state, term: "", hasCopies: false, duplicateWindowMs: 0, lastStoredAt: 0 };
  };
  const reader = singleReader(open, async (query) => stream.next(query));
  const publications: StoredPublication[] = [];
  let after = SINCE.sequence;
  for (let reads = 1; ; reads++) {
    const page = await reader.read({ filter: pattern, after, limit: 20 });
    if (!page.ok) throw new Error(page.detail);
    publications.push(...page.publications);
    after = page.through;
    if (!page.isEnd) continue;
    const { history, unread } = page;
    const counts = countSubjects(publications);
    const proof = await reasonOf(
      { filter: pattern, since: SINCE, counts, unread, history },
      { find: async () => ({ ok: true, publication: undefined }), droppedNothing: async () => false },
    );
    const sequences = publications.map(({ sequence }) => sequence);
    if (proof.ok) return { sequences, reason: proof.reason, due: stream.due(after), reads };
  }
}

test("publications that are stored during a read are no reason by themselves", async () => {
  const others = ["a.1", "a.2", "a.3", "a.4", "a.5"];
  const quiet = new BusyStream(
    3,
    [...others, "a.x"],
    Array.from({ length: 9 }, () => ["b.y", "b.y"]),
  );
  const busy = new BusyStream(3, [...others, "a.x"], [[], [], [], [], ["a.6", "a.7"], ["a.8"]]);

  expect(await resume(quiet)).toMatchObject({ reason: undefined, reads: 1 });
  const { sequences, reason, due } = await resume(busy);
  expect([sequences, reason]).toEqual([due, undefined]);
});

test("a proof fails while the last publications cannot be read, so that the client is not refused for that", async () => {
  const history = { epoch: "e", firstSequence: 5, lastSequence: 9, maxPerSubject: 1_000 };
  const replay = { filter: pattern, since: SINCE, counts: new Map(), unread: 0, history };
  const provable = async (droppedNothing: boolean | undefined) => {
    const find = async () => ({ ok: true as const, publication: undefined });
    return reasonOf(replay, { find, droppedNothing: async () => droppedNothing });
  };

  expect(await provable(true)).toEqual({ ok: true, reason: undefined });
  expect(await provable(false)).toEqual({ ok: true, reason: "expired" });
  expect(await provable(undefined)).toMatchObject({ ok: false, reason: "unusable" });
});

test("random reads while more is stored: never falsely complete", async () => {
  const topics = fc.constantFrom("a.x", "a.y", "a.1", "a.2", "a.3", "b.z");
  const scenario = fc.record({
    limit: fc.integer({ min: 1, max: 5 }),
    before: fc.array(topics, { maxLength: 15 }),
    later: fc.array(fc.array(topics, { maxLength: 2 }), { maxLength: 20 }),
  });

  let proved = 0;
  await fc.assert(
    fc.asyncProperty(scenario, async ({ limit, before, later }) => {
      const { sequences, reason, due } = await resume(new BusyStream(limit, before, later));
      if (reason !== undefined) return;
      proved++;
      expect(sequences).toEqual(due);
    }),
    { numRuns: 1_000 },
  );
  expect(proved).toBeGreaterThan(100);
});
