import { HeldChanges } from "../cluster/held-changes.ts";
import { countKey } from "../cluster/keys.ts";
import { Union } from "../cluster/union.ts";
import { Workers } from "../cluster/workers.ts";
import { Announcer } from "./announcer.ts";
import { saveState } from "./checkpoint.ts";
import type { EndpointSenders } from "./endpoint-senders.ts";
import type { Lease } from "./lease.ts";
import { type LeaderParts, type Loaded, loadLeader } from "./load-leader.ts";
import { SubscriptionCounts } from "./subscription-counts.ts";

const TICK_MS = 50;
/** Deliveries of this time are repeated if the process is killed. */
const SAVE_PROGRESS_MS = 100;
const SAVE_STATE_MS = 5_000;

type LeaderOptions = {
  /** Unique for each leader; begins the ids of its events. */
  readonly id: string;
  readonly lease: Lease;
  readonly parts: LeaderParts;
  /** Called when this leader cannot continue. */
  fail(error: unknown): void;
};

/**
 * Unites the reports of all workers, announces events, and delivers them. One webhook sender of the cluster does this.
 */
export class Leader {
  readonly #options: LeaderOptions;
  readonly #loaded: Loaded;
  readonly #union: Union;
  readonly #held: HeldChanges;
  readonly #announcer: Announcer;
  readonly #workers: Workers;
  readonly #counts: SubscriptionCounts;
  readonly #timers: readonly NodeJS.Timeout[];
  #ids = 0;
  #stateSavedAt = performance.now();
  #saving: Promise<void> | undefined;

  private constructor(options: LeaderOptions, loaded: Loaded) {
    this.#options = options;
    this.#loaded = loaded;
    const { bus, subjects, config, counters, log } = options.parts;
    const { state, eventLog } = loaded;
    this.#union = new Union({
      onPresence: (key, isPresent) => this.#held.onPresence(key, isPresent),
      onCount: (topic) => this.#counts.onCount(topic),
    });
    const [isPresent, now] = [(key: string) => this.#union.has(key), () => performance.now()];
    this.#held = new HeldChanges({ isPresent, now, onDue: (key) => this.#announcer.addKey(key) }, state);
    this.#counts = new SubscriptionCounts((topic) => this.#union.count(topic), state);
    const [held, counts, nextId] = [this.#held, this.#counts, () => `${options.id}-${++this.#ids}`];
    this.#announcer = new Announcer({ log: eventLog, held, counts, wanted: config.wanted, counters, nextId });
    this.#workers = new Workers({
      bus,
      subjects,
      union: this.#union,
      lastEvents: state.lastEvents,
      onEvent: (worker, number, event) => this.#announcer.addEvent({ worker, number, event }),
      onSnapshot: () => counters.snapshots++,
      log,
    });
    eventLog.onRoom = () => options.lease.isValid() && this.#announcer.store();
    this.#timers = [setInterval(() => this.#tick(), TICK_MS), setInterval(() => this.#saveAll(), SAVE_PROGRESS_MS)];
  }

  /** Takes over from the leader before. @throws errors of the NATS and JetStream clients. */
  static async start(options: LeaderOptions): Promise<Leader> {
    return new Leader(options, await loadLeader(options.parts, options.lease, options.fail));
  }

  get senders(): EndpointSenders {
    return this.#loaded.senders;
  }

  /** Number of workers that send reports. */
  get workers(): number {
    return this.#workers.size;
  }

  /** Events that wait to be stored. */
  get unstoredEvents(): number {
    return this.#announcer.waiting;
  }

  /** Must be called when NATS is connected again. */
  onReconnect(): void {
    this.#workers.onReconnect();
  }

  /** Finishes what is under way and saves the state for the next leader, which takes over at once. */
  async stop(): Promise<void> {
    this.#end();
    await this.senders.stop();
    await this.#saving;
    try {
      await this.#storeWaiting();
      await this.senders.save();
      if (this.#held.isSettled) await this.#saveState();
    } catch (error) {
      this.#options.parts.log.warn({ err: error }, "state not saved at the end");
    }
  }

  /**
   * Ends without another save, because another sender may lead now. Resolves when no POST and no save is under way,
   * because the next leader ends if a record is written after it has loaded it.
   */
  async abandon(): Promise<void> {
    this.#end();
    await this.senders.stop();
    await this.#saving;
  }

  #end(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#workers.stop();
  }

  /** Stores what waits, because workers that have ended cannot send their events to the next leader. */
  async #storeWaiting(): Promise<void> {
    const { eventLog } = this.#loaded;
    while (this.unstoredEvents > 0 && this.#options.lease.isValid()) {
      this.#announcer.store();
      await eventLog.stored(eventLog.lastSequence);
    }
  }

  #tick(): void {
    if (!this.#options.lease.isValid()) return;
    this.#workers.removeSilent();
    if (!this.#held.isSettled && this.#workers.areKnown) this.#held.settle();
    this.#held.expire();
    // Before, the sum would lack workers that are not known yet.
    if (this.#held.isSettled) for (const topic of this.#counts.due()) this.#announcer.addKey(countKey(topic));
    this.#announcer.store();
  }

  #saveAll(): void {
    if (this.#saving !== undefined || !this.#options.lease.isValid()) return;
    this.#saving = this.#save()
      .catch((error: unknown) => this.#options.fail(error))
      .finally(() => {
        this.#saving = undefined;
      });
  }

  async #save(): Promise<void> {
    await this.senders.save();
    if (performance.now() - this.#stateSavedAt < SAVE_STATE_MS) return;
    await this.#saveState();
    // The interval begins at the end of a save, so that a large state is not saved all the time.
    this.#stateSavedAt = performance.now();
  }

  /** Waits until all workers are known, because an event of an unknown worker could be announced twice. */
  async #saveState(): Promise<void> {
    if (!this.#held.isSettled) return;
    const { bus, log } = this.#options.parts;
    const { state, eventLog, records } = this.#loaded;
    const [workers, firstWaiting] = [this.#workers.ids, this.#announcer.firstWaiting()];
    await saveState(state, { eventLog, records, workers, firstWaiting, maxBytes: bus.maxPayloadBytes(), log });
  }
}
