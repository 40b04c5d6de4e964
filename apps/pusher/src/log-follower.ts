import { setTimeout as delay } from "node:timers/promises";
import { type Bus, type BusMessage, type History, SharedAnswer, type StoredPublication, within } from "@fanwire/bus";
import type { Position } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { type ComparisonParts, LogComparison } from "./log-comparison.ts";
import { inOrder, type Logged, type LogKey, LogRepair } from "./log-repair.ts";
import type { Traffic } from "./traffic.ts";

export type LogFollowerParts<Key extends LogKey> = ComparisonParts<Key> & {
  readonly bus: Bus;
  readonly history: History;
  readonly logger: Log;
  readonly traffic: Traffic;
  isFollowed(key: Key): boolean;
  deliver(key: Key, message: BusMessage, sequence: number | undefined): void;
  /** Something of the key may be missing for good, before what is delivered next. */
  broken(key: Key): void;
};

/** How often what was delivered is compared with the history: a lost last publication shows in no other way. */
const COMPARE_MS = 5_000;
/** What has just been stored may still be on its way to us. */
const IN_FLIGHT_MS = 500;
const IN_FLIGHT_CHECK_MS = 5;
const RETRY_MS = 500;
/** A follower waits no longer than this to begin, or twice as long when others have just begun. */
const BEGIN_MS = 1_000;
/** More is dropped and read from the history again. */
const MAX_HELD = 20_000;

/**
 * Sees to it that each durable publication is delivered once and in order. They arrive like live ones, with their sequence.
 * When one is missing, all durable ones are held until it was read from the history: of all keys, so that positions only grow.
 */
export class LogFollower<Key extends LogKey> {
  readonly #parts: LogFollowerParts<Key>;
  readonly #comparison: LogComparison<Key>;
  /** Where the history stands, for all who begin at about the same moment: a timer for each of thousands would outlive them. */
  readonly #beginning = new SharedAnswer(() => within(BEGIN_MS, this.#refreshState()));
  readonly #suspects = new Set<Key>();
  readonly #timer: NodeJS.Timeout;
  #held: Logged<Key>[] = [];
  #isHolding = false;
  #isRechecking = false;
  #epoch: string | undefined;
  #lastSequence = 0;
  #repairing: Promise<void> | undefined;
  #isRepairDue = false;
  #isAway = false;
  #isComparing = false;
  #isStopped = false;

  constructor(parts: LogFollowerParts<Key>) {
    this.#parts = parts;
    this.#comparison = new LogComparison(parts);
    this.#timer = setInterval(() => void this.#compare(), COMPARE_MS);
  }

  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** The history's life as last heard of; undefined where there is none. */
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
    else this.#receiveLogged(cameAs(key, message, sequence), false);
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

  /** To be awaited before anything is followed. Resolves when the history was asked for the first time, be it in vain. */
  async ready(): Promise<void> {
    await this.#refreshState();
  }

  /** Resolves when nothing is held. */
  async untilFlowing(): Promise<void> {
    while (this.#isHolding && !this.#isStopped) await (this.#repairing ?? delay(RETRY_MS));
  }

  /**
   * To be called once NATS has our subscriptions of these keys: of what is stored from now on nothing may be missed. False when
   * it takes too long to learn where they stand; comparing with the history tells later.
   */
  async begin(keys: readonly Key[]): Promise<boolean> {
    const fresh = keys.filter(({ sequence }) => !sequence.hasBegun);
    if (fresh.length === 0) return true;
    const end = await this.#beginning.get();
    if (end === undefined) return false;
    for (const { sequence } of fresh) if (!sequence.hasBegun) sequence.begin(end);
    return true;
  }

  /**
   * Waits until all that is stored for a key up to `upTo` has been delivered to its followers, which is a matter of
   * milliseconds; `publications` are what somebody read of it from its floor on. False when it was not: it is repaired, and
   * meanwhile held.
   */
  async reach(
    key: Key,
    publications: readonly StoredPublication[],
    { epoch, sequence: upTo }: Position,
  ): Promise<boolean> {
    const isMissing = () =>
      publications.some(({ sequence }) => sequence <= upTo && !key.sequence.isDelivered(sequence));
    const deadline = performance.now() + IN_FLIGHT_MS;
    while (isMissing() && !this.#isHolding && performance.now() < deadline) await delay(IN_FLIGHT_CHECK_MS);
    if (this.#epoch !== epoch) return false;
    if (!isMissing()) {
      key.sequence.settle(upTo);
      return true;
    }
    this.#suspects.add(key);
    this.#startRepair();
    return false;
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  get #isFlowing(): boolean {
    return !this.#isHolding && !this.#isStopped;
  }

  /** `isChecked`: the history was asked since it came. */
  #receiveLogged(logged: Logged<Key>, isChecked: boolean): void {
    if (this.#isHolding) {
      this.#hold(logged);
      return;
    }
    const { key, sequence, previous, subject } = logged;
    const verdict = key.sequence.judge(sequence, previous, subject);
    if (verdict === "deliver") {
      this.#deliver(logged);
      return;
    }
    if (verdict === "duplicate") {
      // It was read from the history already, or it is of another history, whose sequences begin anew and which is read from there.
      if (!isChecked) void this.#recheck();
      return;
    }
    this.#parts.traffic.logGaps++;
    this.#suspects.add(key);
    this.#hold(logged);
    this.#startRepair();
  }

  #hold(logged: Logged<Key>): void {
    this.#isHolding = true;
    this.#held.push(logged);
    if (this.#held.length <= MAX_HELD) return;
    // They are all in the history.
    for (const { key } of this.#held) this.#suspects.add(key);
    this.#held = [];
  }

  /** By the first one held of each subject: what one key has lost, others have, and one repair is for all. */
  #suspectHeld(): void {
    const seen = new Set<string>();
    for (const { key, sequence, previous, subject } of this.#held) {
      const id = `${key.key} ${subject}`;
      if (seen.has(id)) continue;
      seen.add(id);
      if (key.sequence.judge(sequence, previous, subject) === "gap") this.#suspects.add(key);
    }
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
    const { history, subjects, logger } = this.#parts;
    let repair = new LogRepair<Key>(this.epoch, history, subjects);
    // At least once, also when nothing is suspect: it tells whether this is still the same history.
    do {
      const upTo = await this.#catchUp();
      this.#suspectHeld();
      for (const key of this.#suspects) if (!this.#parts.isFollowed(key)) this.#suspects.delete(key);
      if (upTo !== undefined) await this.#clearInnocent(upTo);
      if (repair.epoch !== this.epoch) repair = new LogRepair(this.epoch, history, subjects);
      logger.debug({ keys: this.#suspects.size, upTo, held: this.#held.length }, "repairing from the history");
      if (upTo === undefined || !(await repair.read(this.#suspects, upTo))) await delay(RETRY_MS);
      if (this.#isStopped) return;
    } while (this.#suspects.size > 0);
    this.#release(repair);
  }

  async #clearInnocent(upTo: number): Promise<void> {
    const suspects = [...this.#suspects];
    // What makes one suspect from now on may come too late for this reading.
    this.#suspects.clear();
    const lacking = await this.#comparison.lacking(
      suspects,
      this.#extent(upTo, () => !this.#isStopped),
    );
    for (const key of lacking) this.#suspects.add(key);
  }

  #release(repair: LogRepair<Key>): void {
    // What nobody follows any more may be followed anew, from now on.
    const held = this.#held.filter(({ key }) => this.#parts.isFollowed(key));
    this.#held = [];
    const results = [...repair.results(held)].filter(({ key }) => this.#parts.isFollowed(key));
    for (const { key, isComplete } of results) if (!isComplete) this.#parts.broken(key);
    for (const logged of inOrder(results.flatMap(({ publications }) => publications))) this.#deliverMissing(logged);
    for (const { key, through } of results) key.sequence.settle(through);
    this.#isHolding = this.#isAway;
    // What shows the next gap holds the rest again.
    for (const logged of held) this.#receiveLogged(logged, true);
  }

  #deliverMissing(logged: Logged<Key>): void {
    if (logged.key.sequence.isDelivered(logged.sequence)) return;
    if (!logged.hasCome) this.#parts.traffic.logRepairs++;
    this.#deliver(logged);
  }

  #deliver({ key, message, sequence, subject }: Logged<Key>): void {
    this.#lastSequence = Math.max(this.#lastSequence, sequence);
    key.sequence.delivered(sequence, subject);
    this.#parts.deliver(key, message, sequence);
  }

  /**
   * The newest sequence of the history, when it may be read now: NATS must have our subscriptions before, or something could be in
   * neither what is read nor in what comes.
   */
  async #catchUp(): Promise<number | undefined> {
    return (await this.#parts.bus.confirm()) ? await this.#refreshState() : undefined;
  }

  /** One question for however many come at once. */
  async #recheck(): Promise<void> {
    if (this.#isRechecking) return;
    this.#isRechecking = true;
    await this.#refreshState();
    this.#isRechecking = false;
  }

  /** The newest sequence of the history, undefined when it cannot be asked. A log made anew makes all sequences meaningless. */
  async #refreshState(): Promise<number | undefined> {
    const state = await this.#parts.history.state();
    if (!state.ok) return undefined;
    const { epoch, lastSequence } = state.history;
    if (this.#epoch !== undefined && epoch !== this.#epoch) this.#beginAnew(epoch, lastSequence);
    this.#epoch = epoch;
    this.#lastSequence = Math.max(this.#lastSequence, lastSequence);
    return lastSequence;
  }

  #beginAnew(epoch: string, newest: number): void {
    this.#parts.logger.warn({ epoch }, "the history was made anew");
    this.#lastSequence = 0;
    for (const key of this.#parts.keys()) {
      if (key.sequence.reset()) this.#suspects.add(key);
    }
    // What is held came before the answer: beyond it only what is of the history before, and has no place in this one.
    const held = this.#held;
    this.#held = held.filter(({ sequence }) => sequence <= newest);
    for (const { key, message, sequence } of held) {
      if (sequence > newest) this.#parts.deliver(key, message, undefined);
    }
    this.#startRepair();
  }

  /** The history as it is now up to a sequence. */
  #extent(upTo: number, isValid: () => boolean) {
    const epoch = this.#epoch;
    return { epoch, upTo, isValid: () => isValid() && this.#epoch === epoch };
  }

  async #compare(): Promise<void> {
    if (this.#isComparing || !this.#isFlowing) return;
    this.#isComparing = true;
    try {
      if ((await this.#refreshState()) === undefined) return;
      const missing = await this.#comparison.run(this.#extent(this.#lastSequence, () => this.#isFlowing));
      for (const key of missing) this.#suspects.add(key);
      if (missing.size > 0) this.#startRepair();
    } finally {
      this.#isComparing = false;
    }
  }
}

function sequenceOf(message: BusMessage, header: "Nats-Sequence" | "Nats-Last-Sequence"): number | undefined {
  const text = message.headers?.get(header);
  if (!text) return undefined;
  const sequence = Number(text);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

function cameAs<Key>(key: Key, message: BusMessage, sequence: number): Logged<Key> {
  const previous = sequenceOf(message, "Nats-Last-Sequence") ?? 0;
  return {
    key,
    message,
    sequence,
    subject: message.subject,
    previous,
    newest: Number.POSITIVE_INFINITY,
    hasCome: true,
  };
}
