import type { Journal } from "@fanwire/bus";
import type { Log } from "@fanwire/service";
import { AnnouncedState, BUCKETS } from "./announced-state.ts";
import type { EventLog } from "./event-log.ts";
import type { Records } from "./records.ts";

const HEAD = "state";
const BUCKET_NAMES: readonly string[] = Array.from({ length: BUCKETS }, (_, at) => bucketName(at));
/** Reads of stored events at the same time. */
const PARALLEL_READS = 32;

type Head = { readonly through: number; readonly lastEvents: Readonly<Record<string, number>> };

export type LoadedState = {
  readonly state: AnnouncedState;
  /** Sequence of the last event that led to the state. */
  readonly through: number;
  readonly lastSequence: number;
};

/** Loads the state that was saved last. */
export async function loadState(journal: Journal, records: Records, log: Log): Promise<LoadedState> {
  const state = new AnnouncedState();
  const head = headOf(await records.load(HEAD));
  for (const record of await records.loadAll(BUCKET_NAMES)) for (const key of keysOf(record)) state.add(key);
  // They are as they were saved.
  state.takeChanged();
  for (const [source, number] of Object.entries(head?.lastEvents ?? {})) state.lastEvents.set(source, number);
  // Must come after the saved state, because a former leader may still have stored events.
  const { firstSequence, lastSequence } = await journal.open();
  const saved = Math.min(head?.through ?? 0, lastSequence);
  if (saved < firstSequence - 1 && head !== undefined) {
    log.warn({ saved, firstSequence }, "events were dropped before the state was saved");
  }
  return { state, through: Math.max(saved, firstSequence - 1), lastSequence };
}

/** Applies the events that were stored after the saved state. */
export async function applyStored(state: AnnouncedState, through: number, eventLog: EventLog): Promise<void> {
  for (let from = through + 1; from <= eventLog.lastSequence; from += PARALLEL_READS) {
    const length = Math.min(PARALLEL_READS, eventLog.lastSequence - from + 1);
    const reads = Array.from({ length }, (_, at) => eventLog.read(from + at));
    for (const { event } of await Promise.all(reads)) if (event !== undefined) state.apply(event);
  }
}

/** Saves what has changed, when all events that led to it are stored. */
export async function saveState(
  state: AnnouncedState,
  options: {
    readonly eventLog: EventLog;
    readonly records: Records;
    /** Workers that may still send events. */
    readonly workers: ReadonlySet<string>;
    /** Number of the first event of each worker that is not stored yet. */
    readonly firstWaiting: ReadonlyMap<string, number>;
    readonly maxBytes: number;
    readonly log: Log;
  },
): Promise<void> {
  const { eventLog, records, workers, firstWaiting, maxBytes, log } = options;
  const through = eventLog.lastSequence;
  const changed = state.takeChanged();
  for (const source of state.lastEvents.keys()) if (!workers.has(source)) state.lastEvents.delete(source);
  const lastEvents = Object.fromEntries(state.lastEvents);
  // The next leader must receive these from the worker again, because they end with this leader.
  for (const [source, first] of firstWaiting) lastEvents[source] = first - 1;
  await eventLog.stored(through);
  for (const [at, keys] of changed) {
    const record = { keys };
    if (JSON.stringify(record).length * 3 > maxBytes)
      log.error({ keys: keys.length }, "state is too large to be saved");
    else await records.save(bucketName(at), record);
  }
  const head: Head = { through, lastEvents };
  await records.save(HEAD, head);
}

function bucketName(at: number): string {
  return `bucket.${at}`;
}

function headOf(record: unknown): Head | undefined {
  const head = record as Partial<Head> | undefined; // written by a leader
  if (typeof head?.through !== "number") return undefined;
  return { through: head.through, lastEvents: head.lastEvents ?? {} };
}

function keysOf(record: unknown): string[] {
  const { keys } = (record ?? {}) as { keys?: unknown }; // written by a leader
  return Array.isArray(keys) ? keys.filter((key) => typeof key === "string") : [];
}
