import type { BusMessage, History, StoredPublication } from "@fanwire/bus";
import type { HistoryState, Subjects } from "@fanwire/protocol";
import type { KeySequence } from "./core/key-sequence.ts";
import { isUnbroken, type Repaired } from "./core/repair.ts";

/** Something followed, as far as the history is concerned. `key` is its live subject, perhaps with wildcards. */
export type LogKey = { readonly key: string; readonly isExact: boolean; readonly sequence: KeySequence };

/** A durable publication for those who follow a key. `hasCome`: by itself, whether or not it was read from the history too. */
export type Logged<Key> = Repaired & { readonly key: Key; readonly message: BusMessage; readonly hasCome: boolean };

type Reading<Key> = {
  readonly after: number;
  through: number;
  readonly publications: Map<number, Logged<Key>>;
  /** As described after the latest page; undefined when reading was given up. */
  history: HistoryState | undefined;
};

const PAGE_LIMIT = 500;
const CONCURRENT_READS = 16;
/** More, of all keys together, is not read: who missed it is told that something is missing. */
const MAX_READ = 100_000;

/** What is read of the history in one repair: for each suspect key all that was stored since it was last known to be complete. */
export class LogRepair<Key extends LogKey> {
  /** The life of the history that is read: of another one nothing is. */
  readonly epoch: string | undefined;
  readonly #history: Pick<History, "read">;
  readonly #subjects: Subjects;
  readonly #readings = new Map<Key, Reading<Key>>();
  #count = 0;

  constructor(epoch: string | undefined, history: Pick<History, "read">, subjects: Subjects) {
    this.epoch = epoch;
    this.#history = history;
    this.#subjects = subjects;
  }

  /**
   * Takes out of `suspects` what was read to its end. False when the history cannot be read now; what was read is kept. `upTo` was
   * stored before: up to there nothing is to be found any more after a reading.
   */
  async read(suspects: Set<Key>, upTo: number): Promise<boolean> {
    const pending = [...suspects];
    let isReadable = true;
    const readOneByOne = async () => {
      for (let key = pending.pop(); key !== undefined && isReadable; key = pending.pop()) {
        // What makes it suspect from now on may come too late for this reading.
        suspects.delete(key);
        if (await this.#readToEnd(key, upTo)) continue;
        suspects.add(key);
        isReadable = false;
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT_READS }, readOneByOne));
    return isReadable;
  }

  /** What was read, and those of `held` that belong before its end: they count also where the history has dropped them since. */
  *results(held: readonly Logged<Key>[]): Generator<RepairResult<Key>> {
    for (const came of held) {
      const reading = this.#readings.get(came.key);
      if (reading === undefined || came.sequence > reading.through) continue;
      const read = reading.publications.get(came.sequence);
      reading.publications.set(came.sequence, { ...came, newest: read?.newest ?? came.newest });
    }
    for (const [key, { after, through, publications, history }] of this.#readings) {
      const ordered = inOrder(publications.values());
      const isDelivered = (sequence: number) => key.sequence.isDelivered(sequence);
      const isComplete = history !== undefined && isUnbroken(ordered, after, history, isDelivered);
      yield { key, publications: ordered, through, isComplete };
    }
  }

  async #readToEnd(key: Key, upTo: number): Promise<boolean> {
    const filter = this.#subjects.historyOf(key.key);
    const { floor } = key.sequence;
    // Of a key about which nothing is known, what comes next is what is next.
    if (filter === undefined || floor === undefined) return true;

    const reading = this.#readings.get(key) ?? {
      after: floor,
      through: floor,
      publications: new Map(),
      history: undefined,
    };
    this.#readings.set(key, reading);
    for (;;) {
      const page = await this.#history.read({ filter, after: reading.through, upTo, limit: PAGE_LIMIT });
      if (!page.ok || page.history.epoch !== this.epoch) return false;
      reading.through = page.through;
      reading.history = page.history;
      for (const publication of page.publications) {
        reading.publications.set(
          publication.sequence,
          readAs(key, publication, page.history.lastSequence, this.#subjects),
        );
      }
      this.#count += page.publications.length;
      if (page.isEnd) return reading.through >= upTo;
      if (this.#count > MAX_READ) return this.#giveUp(reading, page.history.lastSequence);
    }
  }

  #giveUp(reading: Reading<Key>, through: number): true {
    this.#count -= reading.publications.size;
    reading.publications.clear();
    reading.through = through;
    reading.history = undefined;
    return true;
  }
}

type RepairResult<Key> = {
  readonly key: Key;
  /** In order. */
  readonly publications: readonly Logged<Key>[];
  /** Nothing up to here is to be expected any more. */
  readonly through: number;
  /** Whether these are certainly all. */
  readonly isComplete: boolean;
};

export function inOrder<Each extends { readonly sequence: number }>(publications: Iterable<Each>): Each[] {
  return [...publications].sort((one, other) => one.sequence - other.sequence);
}

/** A publication read from the history when nothing newer than `newest` was stored. */
function readAs<Key>(key: Key, publication: StoredPublication, newest: number, subjects: Subjects): Logged<Key> {
  const message = messageOf(publication, subjects);
  const { sequence } = publication;
  return { key, message, sequence, subject: message.subject, previous: 0, newest, hasCome: false };
}

/** A publication read from the history, as it would have come in live. */
export function messageOf(publication: StoredPublication, subjects: Subjects): BusMessage {
  return {
    subject: subjects.liveOf(publication.subject) ?? publication.subject,
    data: publication.content,
    headers: publication.headers,
    respond: () => false,
  };
}
