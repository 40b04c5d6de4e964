import { setTimeout as delay } from "node:timers/promises";
import type { Bus, BusMessage, DurableLog, LoggedPublication } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { KeySequence } from "./core/key-sequence.ts";
import type { Traffic } from "./traffic.ts";

/** Something followed, as far as the log is concerned. `key` is its live subject, perhaps with wildcards. */
export type LogKey = { readonly key: string; readonly isExact: boolean; readonly sequence: KeySequence };

export type LogFollowerParts<Key extends LogKey> = {
  readonly bus: Bus;
  readonly log: DurableLog;
  readonly subjects: Subjects;
  readonly logger: Log;
  readonly traffic: Traffic;
  /** All that is followed now. */
  keys(): Iterable<Key>;
  deliver(key: Key, message: BusMessage, sequence: number | undefined): void;
};

/** How often what was delivered is compared with the log: a lost last publication shows in no other way. */
const VERIFY_MS = 5_000;
/** What has just been stored may still be on its way to us. */
const IN_FLIGHT_MS = 500;
const RETRY_MS = 500;
const PAGE_LIMIT = 500;
/** More is dropped and read from the log again. */
const MAX_HELD = 20_000;

/** `isChecked`: the log was asked since it came. */
type Held<Key> = { readonly key: Key; readonly message: BusMessage; readonly isChecked: boolean };
type Found<Key> = { readonly key: Key; readonly publication: LoggedPublication };

/**
 * Sees to it that each durable publication is delivered once and in order. They arrive like live ones, with their sequence.
 * When one is missing, all durable ones are held until it was read from the log: of all keys, so that positions only grow.
 */
export class LogFollower<Key extends LogKey> {
  readonly #parts: LogFollowerParts<Key>;
  readonly #suspects = new Set<Key>();
  readonly #timer: NodeJS.Timeout;
  #held: Held<Key>[] = [];
  #isHolding = false;
  #epoch: string | undefined;
  #lastSequence = 0;
  #verifiedUpTo = -1;
  #repairing: Promise<void> | undefined;
  #isRepairDue = false;
  #isAway = false;
  #isVerifying = false;
  #isStopped = false;

  constructor(parts: LogFollowerParts<Key>) {
    this.#parts = parts;
    this.#timer = setInterval(() => void this.#verify(), VERIFY_MS);
  }

  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** The log's life as last heard of; undefined where there is none. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** The newest publication this worker knows to be stored. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** To be called with every message of a followed key, in the order of arrival. */
  receive(key: Key, message: BusMessage): void {
    const sequence = sequenceOf(message, "Nats-Sequence");
    if (sequence === undefined) this.#parts.deliver(key, message, undefined);
    else this.#receiveLogged({ key, message, isChecked: false }, sequence);
  }

  /** NATS is away: what comes first when it is back may not be what is next. To be followed by {@link repairAll}. */
  hold(): void {
    this.#isAway = true;
    this.#isHolding = true;
  }

  /** Reads what was missed, of everything followed. */
  repairAll(): void {
    this.#isAway = false;
    for (const key of this.#parts.keys()) this.#suspects.add(key);
    this.#startRepair();
  }

  /** Resolves when the log was asked for the first time, be it in vain. */
  async ready(): Promise<void> {
    await this.#refreshState();
  }

  /** Resolves when nothing is held. */
  async untilFlowing(): Promise<void> {
    while (this.#isHolding && !this.#isStopped) await (this.#repairing ?? delay(RETRY_MS));
  }

  /** What somebody read of a key's log, to its end, while nothing is held: delivers what is new to us. */
  learn(key: Key, publications: readonly LoggedPublication[], through: number): void {
    const { origin } = key.sequence;
    const forFollowers = publications.filter(({ sequence }) => sequence > origin);
    this.#deliverMissing(forFollowers.map((publication) => ({ key, publication })));
    key.sequence.settle(through);
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  #receiveLogged(logged: Held<Key>, sequence: number): void {
    if (this.#isHolding) {
      this.#hold({ ...logged, isChecked: false });
      return;
    }
    const { key, message, isChecked } = logged;
    const verdict = key.sequence.judge(sequence, sequenceOf(message, "Nats-Last-Sequence") ?? 0, message.subject);
    if (verdict === "deliver") {
      this.#lastSequence = Math.max(this.#lastSequence, sequence);
      key.sequence.delivered(sequence, message.subject);
      this.#parts.deliver(key, message, sequence);
      return;
    }
    // It was read from the log already, or it is of another log, whose sequences begin anew: the log is asked which.
    if (verdict === "duplicate" && isChecked) return;
    if (verdict === "gap") {
      this.#parts.traffic.logGaps++;
      this.#suspects.add(key);
    }
    this.#hold(logged);
    this.#startRepair();
  }

  #hold(held: Held<Key>): void {
    this.#isHolding = true;
    this.#held.push(held);
    if (this.#held.length <= MAX_HELD) return;
    // They are all in the log.
    for (const { key } of this.#held) this.#suspects.add(key);
    this.#held = [];
  }

  #startRepair(): void {
    this.#isHolding = true;
    if (this.#repairing) {
      this.#isRepairDue = true;
      return;
    }
    this.#repairing = this.#repair().finally(() => {
      this.#repairing = undefined;
      if (!this.#isRepairDue) return;
      this.#isRepairDue = false;
      this.#startRepair();
    });
  }

  async #repair(): Promise<void> {
    const found: Found<Key>[] = [];
    const ends = new Map<Key, number>();
    // At least once, also when nothing is suspect: it tells whether this is still the same log.
    do {
      const [key] = this.#suspects;
      if (!(await this.#readSuspect(key, found, ends))) await delay(RETRY_MS);
      if (this.#isStopped) return;
    } while (this.#suspects.size > 0);
    this.#release(found, ends);
  }

  /** False when the log cannot be read now. */
  async #readSuspect(key: Key | undefined, found: Found<Key>[], ends: Map<Key, number>): Promise<boolean> {
    const { epoch } = this;
    if (!(await this.#isCaughtUp())) return false;
    if (epoch !== undefined && this.epoch !== epoch) {
      found.length = 0;
      ends.clear();
    }
    if (key === undefined) return true;
    const { floor } = key.sequence;
    if (floor !== undefined) {
      const read = await this.#readOn(key, ends.get(key) ?? floor);
      if (read === undefined) return false;
      found.push(...read.publications.map((publication) => ({ key, publication })));
      ends.set(key, read.through);
    }
    // Of a key about which nothing is known, what comes next is what is next.
    this.#suspects.delete(key);
    return true;
  }

  #release(found: Found<Key>[], ends: ReadonlyMap<Key, number>): void {
    this.#deliverMissing(found);
    for (const [key, through] of ends) key.sequence.settle(through);
    const held = this.#held;
    this.#held = [];
    this.#isHolding = this.#isAway;
    // What shows the next gap holds the rest again.
    for (const each of held) {
      const sequence = sequenceOf(each.message, "Nats-Sequence");
      if (sequence !== undefined) this.#receiveLogged({ ...each, isChecked: true }, sequence);
    }
  }

  #deliverMissing(found: Found<Key>[]): void {
    found.sort((one, other) => one.publication.sequence - other.publication.sequence);
    for (const { key, publication } of found) {
      if (key.sequence.isDelivered(publication.sequence)) continue;
      this.#parts.traffic.logRepairs++;
      const message = messageOf(publication, this.#parts.subjects);
      key.sequence.delivered(publication.sequence, message.subject);
      this.#parts.deliver(key, message, publication.sequence);
    }
  }

  /**
   * Whether the log may be read now: NATS must have our subscriptions before, or something could be in neither what is read
   * nor in what comes.
   */
  async #isCaughtUp(): Promise<boolean> {
    return (await this.#parts.bus.confirm()) && (await this.#refreshState());
  }

  /** Everything stored for a key after a sequence, or undefined when it cannot be read now. */
  async #readOn(
    { key }: Key,
    after: number,
  ): Promise<{ publications: LoggedPublication[]; through: number } | undefined> {
    const { log, subjects } = this.#parts;
    const filter = subjects.logOf(key);
    if (filter === undefined) return { publications: [], through: after };

    const publications: LoggedPublication[] = [];
    for (let from = after; ; ) {
      const page = await log.read({ filter, after: from, limit: PAGE_LIMIT });
      if (!page.ok) return undefined;
      publications.push(...page.publications);
      from = page.next;
      if (page.isEnd) return { publications, through: from };
    }
  }

  /** False when the log cannot be asked. A log made anew makes all sequences meaningless. */
  async #refreshState(): Promise<boolean> {
    const state = await this.#parts.log.state();
    if (!state.ok) return false;
    const { epoch, lastSequence } = state.log;
    if (this.#epoch !== undefined && epoch !== this.#epoch) {
      this.#parts.logger.warn({ epoch }, "the log was made anew");
      for (const key of this.#parts.keys()) key.sequence.reset();
      this.#lastSequence = 0;
    }
    this.#epoch = epoch;
    this.#lastSequence = Math.max(this.#lastSequence, lastSequence);
    return true;
  }

  async #verify(): Promise<void> {
    if (this.#isVerifying || this.#isHolding || this.#isStopped) return;
    this.#isVerifying = true;
    try {
      if (!(await this.#refreshState())) return;
      const upTo = this.#lastSequence;
      const isNews = upTo !== this.#verifiedUpTo;
      const suspects: Key[] = [];
      for (const key of this.#parts.keys()) {
        if (this.#isHolding || this.#isStopped) return;
        if (!isNews && key.sequence.floor !== undefined) continue;
        if (await this.#misses(key)) suspects.push(key);
      }
      if (suspects.length > 0) {
        await delay(IN_FLIGHT_MS);
        for (const key of suspects) if (await this.#misses(key)) this.#suspects.add(key);
        if (this.#suspects.size > 0) this.#startRepair();
      }
      this.#verifiedUpTo = upTo;
    } finally {
      this.#isVerifying = false;
    }
  }

  /** Whether the log holds something of a key that was not delivered. What was is settled. */
  async #misses({ key, isExact, sequence }: Key): Promise<boolean> {
    const { log, subjects } = this.#parts;
    const filter = subjects.logOf(key);
    if (filter === undefined) return false;
    const { floor } = sequence;
    if (isExact || floor === undefined) {
      const last = await log.last(filter);
      if (!last.ok) return false;
      if (sequence.floor === undefined) {
        sequence.propose(last.sequence);
        return false;
      }
      return !sequence.isDelivered(last.sequence) && last.sequence > 0;
    }
    const page = await log.read({ filter, after: floor, limit: PAGE_LIMIT });
    if (!page.ok) return false;
    if (page.publications.some((publication) => !sequence.isDelivered(publication.sequence))) return true;
    sequence.settle(page.next);
    return false;
  }
}

/** A publication read from the log, as it would have come in live. */
export function messageOf(publication: LoggedPublication, subjects: Subjects): BusMessage {
  return {
    subject: subjects.liveOf(publication.subject) ?? publication.subject,
    data: publication.content,
    headers: publication.headers,
    respond: () => false,
  };
}

function sequenceOf(message: BusMessage, header: "Nats-Sequence" | "Nats-Last-Sequence"): number | undefined {
  const text = message.headers?.get(header);
  if (!text) return undefined;
  const sequence = Number(text);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}
