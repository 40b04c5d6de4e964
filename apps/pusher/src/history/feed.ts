import { setTimeout as delay } from "node:timers/promises";
import type { Bus, EntryConsumer, EntryReceiver, History } from "@fanwire/bus";
import type { HistoryState } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";

const RETRY_MS = 250;
/** A node that hung while it led describes the history as it was, until it learns of its successor. */
const BELIEVED_AFTER_MS = 15_000;
/** Longer where there is no JetStream, which may be switched on later. */
const RETRY_WITHOUT_MS = 5_000;

type FeedParts = {
  readonly bus: Bus;
  readonly history: History;
  readonly log: Log;
  readonly receiver: EntryReceiver;
  /**
   * Whether a description may come from a node that led before and does not know what was stored since. Such a description
   * counts only after it has persisted.
   */
  isDoubtful(history: HistoryState): boolean;
  /** The history as it is now: says after which sequence to read on. */
  onState(history: HistoryState): number;
  /** False: what is stored from now on belongs to another history than {@link onState} was told of. */
  isSame(history: HistoryState): boolean;
};

/** Keeps a consumer of the history going, from where its reader stands, for as long as the worker lives. */
export class HistoryFeed {
  readonly #parts: FeedParts;
  #consumer: EntryConsumer | undefined;
  /** Since when there has been no consumer, though there is a history; undefined while there is one. */
  #downSince: number | undefined;
  #doubtfulSince: number | undefined;
  #isStopped = false;
  #firstAttempt: () => void = () => {};
  /** Resolves after the first attempt to read the history, even a failed one. */
  readonly attempted = new Promise<void>((resolve) => {
    this.#firstAttempt = resolve;
  });

  constructor(parts: FeedParts) {
    this.#parts = parts;
    parts.bus.onConnection((isConnected) => {
      if (!isConnected) this.#consumer?.stop("disconnected");
    });
  }

  get downMs(): number {
    return this.#downSince === undefined ? 0 : performance.now() - this.#downSince;
  }

  start(): void {
    void this.#run();
  }

  /** To be called when there is room for more entries. */
  resume(): void {
    this.#consumer?.resume();
  }

  get isPolling(): boolean {
    return this.#consumer?.isPolling ?? false;
  }

  /** To be called when somebody waits for the next entry. */
  hurry(): void {
    this.#consumer?.hurry();
  }

  stop(): void {
    this.#isStopped = true;
    this.#consumer?.stop();
  }

  #isDoubtful(history: HistoryState): boolean {
    const now = performance.now();
    if (!this.#parts.isDoubtful(history)) this.#doubtfulSince = undefined;
    else this.#doubtfulSince ??= now;
    return this.#doubtfulSince !== undefined && now - this.#doubtfulSince < BELIEVED_AFTER_MS;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const waitMs = await this.#consume().catch((error: unknown) => {
        this.#parts.log.error({ err: error }, "reading the history failed");
        return RETRY_MS;
      });
      this.#firstAttempt();
      if (waitMs > 0) await delay(waitMs, undefined, { ref: false });
    }
  }

  /** Reads until something is wrong. Returns how long to wait before the next attempt, in milliseconds. */
  async #consume(): Promise<number> {
    const { history, log, receiver, onState, isSame } = this.#parts;
    const before = await history.state();
    if (!before.ok) return before.reason === "no-jetstream" ? RETRY_WITHOUT_MS : RETRY_MS;
    this.#downSince ??= performance.now();
    if (this.#isDoubtful(before.history)) return RETRY_MS;
    const after = onState(before.history);
    this.#firstAttempt();
    const created = await history.consume(after, receiver);
    if (!created.ok) {
      log.debug({ reason: created.reason, detail: created.detail }, "no consumer of the history yet");
      return RETRY_MS;
    }
    const { consumer } = created;
    // The history may have been recreated in between, and a consumer that begins beyond its end waits for ever.
    const now = await history.state();
    if (this.#isStopped || !now.ok || !isSame(now.history)) {
      consumer.stop();
      return 0;
    }
    onState(now.history);
    this.#consumer = consumer;
    this.#downSince = undefined;
    consumer.resume();
    const reason = await consumer.ended;
    this.#consumer = undefined;
    this.#downSince = performance.now();
    if (!this.#isStopped) log.info({ reason, after }, "consumer of the history ended, creating another");
    return 0;
  }
}
