import { setTimeout as delay } from "node:timers/promises";
import type { Bus, EntryConsumer, EntryReceiver, History } from "@fanwire/bus";
import type { HistoryState } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";

const RETRY_MS = 250;
/**
 * Time for which a doubtful description must persist before it counts. A former leader that hung describes an old state
 * of the history until it learns of the new leader.
 */
const TRUSTED_AFTER_MS = 15_000;
/** Interval of attempts without JetStream, which an operator may enable later. */
const RETRY_WITHOUT_MS = 5_000;
/** A NATS cluster that has just started answers as if it had no JetStream until it has elected a leader. */
const STARTING_MS = 30_000;

type FeedParts = {
  readonly bus: Bus;
  readonly history: History;
  readonly log: Log;
  readonly receiver: EntryReceiver;
  /**
   * Whether a description may come from a former leader that lacks the newest publications. Such a description counts
   * only after it has persisted.
   */
  isDoubtful(history: HistoryState): boolean;
  /** Called before {@link onState}. Resolves with false if the history cannot be read, so that it has to be retried. */
  prepare(history: HistoryState): Promise<boolean>;
  /**
   * Takes the current description of the history. Returns the sequence after which to read; undefined while nothing may
   * be read.
   */
  onState(history: HistoryState): number | undefined;
  /** Whether a description is of the same history as the one that {@link onState} took last. */
  isSame(history: HistoryState): boolean;
};

/** Keeps one consumer of the history running, and creates another where the last one ended. */
export class HistoryFeed {
  readonly #parts: FeedParts;
  #consumer: EntryConsumer | undefined;
  /** Time since which a history that may exist could not be read; undefined while it can. */
  #downSince: number | undefined;
  #doubtfulSince: number | undefined;
  #isStopped = false;
  #connectedAt = performance.now();
  /** Ends the wait before the next attempt. */
  #wake = new AbortController();
  #firstAttempt: () => void = () => {};
  /** Resolves after the first attempt to read the history, even a failed one. */
  readonly attempted = new Promise<void>((resolve) => {
    this.#firstAttempt = resolve;
  });

  constructor(parts: FeedParts) {
    this.#parts = parts;
    parts.bus.onConnection((isConnected) => {
      if (isConnected) this.#onConnected();
      else this.#consumer?.stop("disconnected");
    });
  }

  get downMs(): number {
    return this.#downSince === undefined ? 0 : performance.now() - this.#downSince;
  }

  start(): void {
    void this.#run();
  }

  /** Must be called when the receiver has room for more entries. */
  resume(): void {
    this.#consumer?.resume();
  }

  get isPolling(): boolean {
    return this.#consumer?.isPolling ?? false;
  }

  /** Requests the next entries at once, instead of with the next poll. */
  requestNow(): void {
    this.#consumer?.hurry();
  }

  stop(): void {
    this.#isStopped = true;
    this.#consumer?.stop();
  }

  #onConnected(): void {
    this.#connectedAt = performance.now();
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  #isDoubtful(history: HistoryState): boolean {
    const now = performance.now();
    if (!this.#parts.isDoubtful(history)) this.#doubtfulSince = undefined;
    else this.#doubtfulSince ??= now;
    return this.#doubtfulSince !== undefined && now - this.#doubtfulSince < TRUSTED_AFTER_MS;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const waitMs = await this.#consume().catch((error: unknown) => {
        this.#parts.log.error({ err: error }, "history consumer failed");
        return RETRY_MS;
      });
      this.#firstAttempt();
      const { signal } = this.#wake;
      if (waitMs > 0) await delay(waitMs, undefined, { ref: false, signal }).catch(() => {});
    }
  }

  /** Consumes the history until that fails. Returns the time to wait before the next attempt, in milliseconds. */
  async #consume(): Promise<number> {
    const { history, log, receiver, prepare, onState, isSame } = this.#parts;
    const before = await history.state();
    const isAbsent = !before.ok && before.reason === "no-jetstream";
    if (!isAbsent) this.#downSince ??= performance.now();
    if (!before.ok) {
      const isStarting = performance.now() - this.#connectedAt < STARTING_MS;
      return isAbsent && !isStarting ? RETRY_WITHOUT_MS : RETRY_MS;
    }
    if (this.#isDoubtful(before.history)) return RETRY_MS;
    if (!(await prepare(before.history))) return RETRY_MS;
    const after = onState(before.history);
    this.#firstAttempt();
    if (after === undefined) return RETRY_MS;
    const created = await history.consume(after, receiver);
    if (!created.ok) {
      log.debug({ reason: created.reason, detail: created.detail }, "history consumer not created");
      return RETRY_MS;
    }
    const { consumer } = created;
    // If the history was recreated meanwhile, the consumer may start beyond its end and would receive nothing.
    const now = await history.state();
    if (this.#isStopped || !now.ok || !isSame(now.history)) {
      consumer.stop();
      return 0;
    }
    onState(now.history);
    this.#consumer = consumer;
    consumer.resume();
    // JetStream also creates a consumer whose entries it then refuses to send.
    const isAnswered = await consumer.answered;
    if (isAnswered) this.#downSince = undefined;
    const reason = await consumer.ended;
    this.#consumer = undefined;
    this.#downSince ??= performance.now();
    if (!this.#isStopped) log.info({ reason, after }, "history consumer ended, creating another");
    return isAnswered ? 0 : RETRY_MS;
  }
}
