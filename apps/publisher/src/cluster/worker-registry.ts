import { setTimeout as delay } from "node:timers/promises";
import { type Bus, type BusMessage, type BusSubscription, parseJson } from "@fanwire/bus";
import { announcement, endedReply, isWorkerId, type Subjects, type WorkerDescription } from "@fanwire/protocol";
import { hasProcessEnded } from "@fanwire/service";
import { askUntil } from "./control-codec.ts";
import { WorkerRecall } from "./worker-recall.ts";

const CHECK_MS = 500;
const SETTLE_CHECK_MS = 20;
/** Minimum time between two checks of the processes of this machine. */
const CHECK_PROCESSES_EVERY_MS = 5;
/** All workers are asked to describe themselves this often, in addition to their announcements. */
const CALL_EVERY_MS = 5_000;
/** Time after the first question in which a worker that lost NATS too has reconnected and announced itself. */
const SETTLED_AFTER_MS = 1_500;
/**
 * A worker that did not announce its end is forgotten after this time without an answer. Workers remember others as
 * long.
 */
const FORGET_AFTER_MS = 300_000;
/** A Workerman worker is known for this time after an answer, because it announces nothing. */
const BRIDGED_FOR_MS = 10_000;
/** Minimum time between two questions whether a silent worker has ended. */
const ASK_AGAIN_AFTER_MS = 1_000;
/** Maximum number of workers of each kind. The registry first forgets workers with an unanswered question. */
const MAX_WORKERS = 10_000;

type RegistryParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** Maximum time until the answers of workers. */
  readonly timeoutMs: number;
  /** Asks all workers to describe themselves. Resolves with undefined if NATS is unreachable. */
  call(): Promise<readonly Pick<WorkerDescription, "id" | "process">[] | undefined>;
};

type Known = {
  process: string | undefined;
  /** The worker did not answer in time. Nothing waits for it until it answers. */
  isSilent: boolean;
  /** Time since which nothing has shown that the worker exists; undefined while it answers. */
  missedSince: number | undefined;
  /** Time of the last question to the others whether the worker has ended. */
  askedAt: number;
};

/**
 * The known workers. A worker stays known until its end: it announces the end after its last connection is closed. For
 * a killed process, this publisher or a worker on the same machine checks whether the process exists. A worker that
 * does not answer, for example because it reconnects to NATS, stays known for {@link FORGET_AFTER_MS}.
 */
export class WorkerRegistry {
  readonly #parts: RegistryParts;
  /** Known workers, in the order of their first messages. */
  readonly #known = new Map<string, Known>();
  /** The last {@link MAX_WORKERS} that have ended. */
  readonly #ended = new Set<string>();
  #endedCount = 0;
  /**
   * Workerman workers behind channel servers, with the time of their last answer. They do not answer questions to all
   * workers.
   */
  readonly #bridged = new Map<string, number>();
  readonly #recall: WorkerRecall;
  readonly #timer: NodeJS.Timeout;
  readonly #announcements: BusSubscription;
  #calledAt = Number.NEGATIVE_INFINITY;
  /** Start of the first completed question to all workers since NATS was last connected. */
  #listeningSince: number | undefined;
  #disconnects = 0;
  #processesCheckedAt = Number.NEGATIVE_INFINITY;
  #isCalling = false;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#recall = new WorkerRecall(parts);
    this.#announcements = parts.bus.subscribe(parts.subjects.announcements, (message) => this.#onAnnouncement(message));
    parts.bus.onConnection((isConnected) => {
      this.#beginAgain();
      if (isConnected) this.#callIfDue();
    });
    this.#timer = setInterval(() => this.#callIfDue(), CHECK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#announcements.unsubscribe();
  }

  get workers(): string[] {
    return [...this.#known.keys()];
  }

  /** The workers for which questions wait: all but those that missed a deadline. */
  get answering(): string[] {
    return this.workers.filter((worker) => this.#known.get(worker)?.isSilent === false);
  }

  /** `ended`: its connections are closed. `unknown`: nothing was received from it, or the registry has forgotten it. */
  stateOf(worker: string): "known" | "ended" | "unknown" {
    const answeredAt = this.#bridged.get(worker) ?? Number.NEGATIVE_INFINITY;
    if (this.#known.has(worker) || performance.now() - answeredAt < BRIDGED_FOR_MS) return "known";
    return this.#ended.has(worker) ? "ended" : "unknown";
  }

  /** Whether the registry knows every worker that NATS reaches. */
  get isSettled(): boolean {
    const { bus } = this.#parts;
    if (this.#listeningSince === undefined || this.#disconnects !== bus.traffic().disconnects) return false;
    return bus.health().alive && performance.now() - this.#listeningSince >= SETTLED_AFTER_MS;
  }

  /**
   * Whether no running worker can be unknown. A worker that lost NATS before this publisher connected cannot announce
   * itself. So another worker has to remember it, unless announcements have been received for long.
   */
  get knowsAll(): boolean {
    return this.isSettled && (this.#recall.isComplete(this.answering) || this.hasListenedForLong);
  }

  /**
   * Waits until the registry knows all workers, or until no worker is there that could remember others, for `timeoutMs`
   * at most. Resolves with whether the registry is settled.
   */
  async settle(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    this.#callIfDue();
    const mayLearnMore = () => !this.isSettled || (!this.knowsAll && this.answering.length > 0);
    while (mayLearnMore() && performance.now() < deadline) {
      void this.#askForUnknown();
      await delay(SETTLE_CHECK_MS);
    }
    return this.isSettled;
  }

  /** Records that the worker exists, because it answered or announced itself. */
  seen(worker: string, process?: string): void {
    if (!isWorkerId(worker)) {
      this.#bridged.delete(worker);
      this.#bridged.set(worker, performance.now());
      forgetFirst(this.#bridged);
      return;
    }
    // A message that the worker sent before its end may be received after it.
    if (this.#ended.has(worker)) return;
    const known = this.#known.get(worker);
    if (known !== undefined) {
      known.isSilent = false;
      known.missedSince = undefined;
      known.process ??= process;
      return;
    }
    this.#known.set(worker, { process, isSilent: false, missedSince: undefined, askedAt: Number.NEGATIVE_INFINITY });
    if (this.#known.size > MAX_WORKERS) this.#forgetOne();
  }

  /** Records a worker that another worker has received something from, `silentMs` ago. */
  recalled(
    worker: string,
    { process, silentMs = 0 }: { readonly process?: string | undefined; readonly silentMs?: number | undefined },
  ): void {
    if (this.stateOf(worker) !== "unknown") return;
    this.seen(worker, process);
    const known = this.#known.get(worker);
    if (known === undefined) return;
    known.isSilent = true;
    known.missedSince = performance.now() - silentMs;
  }

  /** Records that the worker has ended. */
  ended(worker: string): void {
    this.#known.delete(worker);
    if (this.#ended.has(worker)) return;
    this.#ended.add(worker);
    this.#endedCount++;
    forgetFirst(this.#ended);
  }

  /** Number of workers that have ended. */
  get endedCount(): number {
    return this.#endedCount;
  }

  /** Returns the workers that have ended since {@link endedCount} had this value, known before or not. */
  endedSince(count: number): string[] {
    return this.#endedCount === count
      ? []
      : [...this.#ended].slice(Math.max(0, this.#ended.size - (this.#endedCount - count)));
  }

  /** Whether the registry has been settled for longer than {@link FORGET_AFTER_MS}. */
  get hasListenedForLong(): boolean {
    return this.isSettled && performance.now() - (this.#listeningSince ?? Number.POSITIVE_INFINITY) > FORGET_AFTER_MS;
  }

  /** Records that the worker did not answer in time. */
  didNotAnswer(worker: string): void {
    const known = this.#known.get(worker);
    if (known !== undefined) known.isSilent = true;
    this.#noteUnanswered(worker);
  }

  /**
   * Forgets the ended workers of this machine, without asking other workers. Repeated calls within some milliseconds do
   * nothing.
   */
  findEndedOnThisMachine(): void {
    const now = performance.now();
    if (now - this.#processesCheckedAt < CHECK_PROCESSES_EVERY_MS) return;
    this.#processesCheckedAt = now;
    for (const [worker, { process }] of this.#known) {
      if (process !== undefined) this.#onProcess(worker, hasProcessEnded(process));
    }
  }

  /**
   * Checks whether `workers` have ended: on this machine directly, on other machines by a request to the workers there.
   * Waits `waitMs` milliseconds at most, because a worker on a machine without another one never gets an answer. Later
   * answers are recorded too.
   */
  async findEnded(workers: readonly string[], waitMs = this.#parts.timeoutMs): Promise<void> {
    this.findEndedOnThisMachine();
    const asked = Promise.all(workers.map((worker) => this.#askWhetherEnded(worker)));
    await Promise.race([asked, delay(waitMs, undefined, { ref: false })]);
  }

  async #askWhetherEnded(worker: string): Promise<void> {
    const known = this.#known.get(worker);
    const now = performance.now();
    if (known?.process === undefined || now - known.askedAt < ASK_AGAIN_AFTER_MS) return;
    known.askedAt = now;
    const answered = new AbortController();
    const onReply = (message: BusMessage) => {
      const hasEnded = endedReply.safeParse(parseJson(message)).data?.hasEnded;
      this.#onProcess(worker, hasEnded);
      if (typeof hasEnded === "boolean" || message.data.length === 0) answered.abort();
    };
    await askUntil(this.#parts, { command: "has-ended", process: known.process }, onReply, answered.signal);
  }

  #onAnnouncement(message: BusMessage): void {
    const { data } = announcement.safeParse(parseJson(message));
    if (data?.state === "ended") this.ended(data.worker);
    else if (data !== undefined) this.seen(data.worker, data.process);
  }

  /** A hanging process keeps its connections, so that a worker is not forgotten while its process exists. */
  #onProcess(worker: string, hasEnded: boolean | null | undefined): void {
    if (hasEnded === true) this.ended(worker);
    const known = this.#known.get(worker);
    if (hasEnded === false && known?.missedSince !== undefined) known.missedSince = performance.now();
  }

  /** Forgets a worker with an unanswered question if there is one, else the oldest. */
  #forgetOne(): void {
    const unanswering = this.workers.find((worker) => this.#known.get(worker)?.missedSince !== undefined);
    this.#known.delete(unanswering ?? this.workers[0] ?? "");
  }

  #forgetUnanswering(): void {
    const oldest = performance.now() - FORGET_AFTER_MS;
    for (const [worker, { missedSince }] of this.#known) {
      if (missedSince !== undefined && missedSince < oldest) this.#known.delete(worker);
    }
  }

  #noteUnanswered(worker: string): void {
    const known = this.#known.get(worker);
    if (known !== undefined) known.missedSince ??= performance.now();
  }

  #beginAgain(): void {
    this.#listeningSince = undefined;
    this.#recall.reset();
  }

  #callIfDue(): void {
    const { bus } = this.#parts;
    if (bus.traffic().disconnects !== this.#disconnects) this.#beginAgain();
    void this.#askForUnknown();
    const isDue = this.#listeningSince === undefined || performance.now() - this.#calledAt > CALL_EVERY_MS;
    if (isDue && !this.#isCalling) void this.#call();
  }

  /** Asks the workers that answer for those that are disconnected from NATS. */
  async #askForUnknown(): Promise<void> {
    if (this.#listeningSince === undefined || this.hasListenedForLong) return;
    const remembered = await this.#recall.ask(this.answering, this.workers);
    const unknown = remembered.filter(({ id }) => this.stateOf(id) === "unknown");
    for (const { id, ...rest } of unknown) this.recalled(id, rest);
    await this.findEnded(unknown.map(({ id }) => id));
  }

  async #call(): Promise<void> {
    const calledAt = performance.now();
    const { disconnects } = this.#parts.bus.traffic();
    this.#isCalling = true;
    try {
      const present = await this.#parts.call();
      // The next check asks again. Until then the registry is not settled.
      if (present === undefined) return;
      for (const { id, process } of present) this.seen(id, process);
      const ids = new Set(present.map(({ id }) => id));
      const missed = this.workers.filter((worker) => !ids.has(worker));
      for (const worker of missed) this.#noteUnanswered(worker);
      this.#calledAt = calledAt;
      if (this.#listeningSince === undefined || this.#disconnects !== disconnects) this.#listeningSince = calledAt;
      this.#disconnects = disconnects;
      void this.#askForUnknown();
      this.#forgetUnanswering();
      await this.findEnded(missed);
    } catch {
      // The bus was stopped during the question.
    } finally {
      this.#isCalling = false;
    }
  }
}

/** Deletes the oldest entry when there are more than {@link MAX_WORKERS}. */
function forgetFirst(all: { readonly size: number; keys(): Iterable<string>; delete(key: string): boolean }): void {
  const [oldest] = all.keys();
  if (all.size > MAX_WORKERS && oldest !== undefined) all.delete(oldest);
}
