import type {
  Bus,
  BusMessage,
  EntryConsumer,
  EntryReceiver,
  History,
  HistoryFailureReason,
  ReadRequest,
} from "@fanwire/bus";
import { type HistoryState, type Position, Subjects, streamHeaderNames } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { onTestFinished, vi } from "vitest";
import { busMessage } from "../bus-message.testing.ts";
import { newCounters } from "../connections/counters.ts";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { Frontier } from "./frontier.ts";
import type { OrderedSubscription } from "./frontier-parts.ts";

const subjects = new Subjects();
export const subjectOf = (topic: string) => subjects.history({ kind: "topic", topic });
const log = createLog("test", "silent");

export type Stored = { readonly sequence: number; readonly topic: string; readonly ageMs?: number };
type WorldOptions = {
  readonly stored?: number;
  readonly epoch?: string;
  /** Why the server describes no history. */
  readonly reason?: HistoryFailureReason | undefined;
  readonly hasConnections?: boolean;
};
export type Sub = OrderedSubscription & { readonly topics: readonly string[]; readonly got: string[] };

export const subscription = (tag: string, ...topics: string[]): Sub => ({ tag, begunAt: 0, topics, got: [] });

/** A world whose frontier requests entries already. */
export async function readingWorld(subscriptions: readonly Sub[], options: WorldOptions = {}) {
  const opened = world(subscriptions, options);
  await opened.isReading;
  return opened;
}

/** A world with a subscription to the topic `x`, and one to `y`. */
export async function worldOfTwo() {
  const [a, b] = [subscription("a", "x"), subscription("b", "y")];
  return { a, b, ...(await readingWorld([a, b])) };
}

/** A history whose entries and contents arrive when the test releases them. */
export function world(subscriptions: readonly Sub[], options: WorldOptions = {}) {
  const stored = new Map<number, Stored>();
  const { epoch = "e1", stored: lastSequence = 0, hasConnections = true } = options;
  let state: HistoryState = { epoch, firstSequence: 1, lastSequence, maxPerSubject: 1_000 };
  let receiver: EntryReceiver | undefined;
  let end: (reason: string) => void = () => {};
  let read = 0;
  let resumed = () => {};
  /** Resolves when entries are requested. */
  const isReading = new Promise<void>((resolve) => {
    resumed = resolve;
  });
  let lost: ReadonlySet<string> = new Set();
  /** Sequences that the consumer skipped, although the leader still stores them. */
  const skipped: number[] = [];
  /** Gaps for which the worker asked: the sequence before, and the last in the gap. */
  const gaps: [number, number][] = [];
  /** Called before the subjects that lost publications are known. */
  const onQuestion = { async do() {} };
  const onRestored = { async do() {} };
  /** Called while subscriptions that missed a publication are closed. */
  const onMissed = { async do() {} };
  /** The server describes no history for this reason, or sends no entries to its consumers. */
  const faults = { reason: options.reason, isSilent: false, isUnreadable: false, reads: 0 };
  let consumers = 0;
  const missed: Sub[][] = [];
  const counters = newCounters();

  const begin = (after: number, to: EntryReceiver) => {
    if (receiver === undefined) read = after;
    receiver = to;
    resumed();
  };
  const consume = async (after: number, to: EntryReceiver) => {
    receiver = undefined;
    consumers++;
    const ended = new Promise<string>((resolve) => {
      end = resolve;
    });
    if (faults.isSilent) end("no heartbeat");
    const consumer = {
      ended,
      answered: Promise.resolve(!faults.isSilent),
      name: "c",
      resume: () => begin(after, to),
      hurry() {},
      stop: (reason = "") => end(reason),
    };
    return { ok: true as const, consumer: consumer as unknown as EntryConsumer };
  };
  const history = {
    state: async () => {
      await Promise.resolve();
      return faults.reason === undefined ? { ok: true, history: state } : { ok: false, reason: faults.reason };
    },
    consume,
    get: async (sequence: number) => contentOf(stored.get(sequence)),
    find: async () => ({ ok: true, publication: undefined }),
    read: async ({ after }: ReadRequest) => {
      faults.reads++;
      if (faults.isUnreadable) return { ok: false };
      const next = [...stored.values()].find(({ sequence }) => sequence > after);
      const time = new Date(Date.now() - (next?.ageMs ?? 0));
      const publications = next === undefined ? [] : [{ ...next, subject: subjectOf(next.topic), time }];
      return { ok: true, publications };
    },
    lostSubjects: async ({ sequence }: Position, upTo: number, [received = upTo + 1]: readonly number[] = []) => {
      gaps.push([sequence, upTo]);
      await onQuestion.do();
      const next = skipped.find((each) => each > received && each <= upTo);
      return { ok: true, subjects: lost, through: next === undefined ? upTo : next - 1 };
    },
  } as unknown as History;
  const frontier = new Frontier<Sub>({
    bus: { onConnection() {} } as unknown as Bus,
    history,
    subjects,
    budget: new MemoryBudget(1_000_000),
    counters,
    log,
    subscriptionsTo: (subject) =>
      subscriptions.filter(({ topics }) => topics.some((topic) => subjectOf(topic) === subject)),
    allSubscriptions: () => subscriptions,
    hasConnections: () => hasConnections,
    haveCommon: (one, other) => one.topics.length === other.topics.length,
    deliver: (to, message, { position, resume }) => to.got.push(`${Buffer.from(message.data)} ${resume ?? position}`),
    missed: async (to) => {
      missed.push([...to]);
      await onMissed.do();
    },
    restored: async () => {
      missed.push([...subscriptions]);
      await onRestored.do();
    },
    isCongested: () => false,
  });
  onTestFinished(() => frontier.stop());
  /** Delivers the next `count` entries, except dropped ones. */
  const readOn = (count: number) => {
    for (let at = 0; at < count && receiver && read < state.lastSequence; at++) {
      do read++;
      while (!stored.has(read) && read < state.lastSequence);
      const entry = stored.get(read);
      if (entry) receiver.onEntry({ sequence: read, subject: subjectOf(entry.topic), bytes: bytesOf(entry) });
    }
  };

  return {
    frontier,
    isReading,
    missed,
    gaps,
    skipped,
    onMissed,
    faults,
    consumers: () => consumers,
    onQuestion,
    onRestored,
    counters,
    store(topic: string, ageMs = 0): Stored {
      const sequence = state.lastSequence + 1;
      state = { ...state, lastSequence: sequence };
      const each = { sequence, topic, ageMs };
      stored.set(sequence, each);
      return each;
    },
    readOn,
    /** Reads on in each attempt, because a consumer exists a moment after the state is known. */
    readUntil: (isDone: () => boolean) =>
      vi.waitUntil(() => {
        readOn(5);
        return isDone();
      }),
    arrive(each: Stored) {
      const message = contentOf(each);
      const place = message && frontier.placeOf(message);
      if (message && place) frontier.receive(place, message);
    },
    /** Drops a publication, so that subscriptions to this topic have lost one. */
    drop(each: Stored, topic = each.topic) {
      stored.delete(each.sequence);
      lost = new Set([subjectOf(topic)]);
    },
    /** Delivers an entry again, as a replica may that holds more than the others. */
    repeat({ sequence, topic }: Stored) {
      receiver?.onEntry({ sequence, subject: subjectOf(topic), bytes: 0 });
    },
    /** Everything expires, so that subscriptions to this topic have lost something. */
    expire(topic: string) {
      stored.clear();
      lost = new Set([subjectOf(topic)]);
      state = { ...state, firstSequence: state.lastSequence + 1 };
    },
    recreate() {
      stored.clear();
      state = { ...state, epoch: "e2", lastSequence: 0 };
    },
    /** Restores an older state, which a service has marked. */
    restore({ sequence }: Stored) {
      for (const each of stored.keys()) if (each > sequence) stored.delete(each);
      state = { ...state, epoch: `${state.epoch}m`, lastSequence: sequence };
    },
    endConsumer: () => end("an entry was lost"),
  };
}

export const textOf = ({ sequence, topic }: Stored) => `${topic}${sequence}`;
const bytesOf = (each: Stored) => Buffer.byteLength(textOf(each));

export function contentOf(each: Stored | undefined): BusMessage | undefined {
  if (each === undefined) return undefined;
  const headers = {
    [streamHeaderNames.stream]: subjects.historyStream,
    [streamHeaderNames.sequence]: String(each.sequence),
    [streamHeaderNames.subject]: subjectOf(each.topic),
  };
  return { ...busMessage(textOf(each), headers), subject: subjects.live({ kind: "topic", topic: each.topic }) };
}
