import { setTimeout as delay } from "node:timers/promises";
import { type Bus, type BusMessage, type BusSubscription, parseJson } from "@fanwire/bus";
import { announcement, endedReply, isWorkerId, type Subjects, type WorkerDescription } from "@fanwire/protocol";
import { hasProcessEnded } from "@fanwire/service";
import { askUntil } from "./control-codec.ts";

const CHECK_MS = 500;
const SETTLE_CHECK_MS = 20;
/** Minimum time between two checks of the processes of this machine. */
const CHECK_PROCESSES_EVERY_MS = 5;
/** All workers are asked to describe themselves this often, in addition to their announcements. */
const CALL_EVERY_MS = 5_000;
/** A worker that lost NATS together with this publisher has reconnected and announced itself by then, if NATS reaches it. */
const SETTLED_AFTER_MS = 1_500;
/** A worker that did not announce its end is forgotten after this time without an answer. Workers remember others as long. */
const FORGET_AFTER_MS = 300_000;
/** A Workerman worker is known for this time after an answer, because it announces nothing. */
const BRIDGED_FOR_MS = 10_000;
/** Minimum time between two questions whether a silent worker has ended. */
const ASK_AGAIN_AFTER_MS = 1_000;
/** Maximum number of workers of each kind. The registry forgets the oldest silent workers first. */
const MAX_WORKERS = 10_000;

type RegistryParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** Maximum time until the answers of workers. */
  readonly timeoutMs: number;
  /** Asks all workers to describe themselves. Resolves with undefined if NATS is not reached. */
  call(): Promise<readonly Pick<WorkerDescription, "id" | "process">[] | undefined>;
};

type Known = {
  process: string | undefined;
  /** The worker did not answer in time. Nothing waits for it until it answers. */
  isSilent: boolean;
  /** Time of the first question without an answer; undefined while the worker answers. */
  missedSince: number | undefined;
  /** Time of the last question to the others whether the worker has ended. */
  askedAt: number;
};

/**
 * The known workers. A worker stays known until its end: it announces the end after its last connection is closed. For a killed
 * process, this publisher or a worker on the same machine checks whether the process exists. A worker that does not answer, for
 * example because it reconnects to NATS, stays known for {@link FORGET_AFTER_MS}.
 */
export class WorkerRegistry {
  readonly #parts: RegistryParts;
  /** Known workers, in the order of their first messages. */
  readonly #known = new Map<string, Known>();
  /** The last {@link MAX_WORKERS} that have ended. */
  readonly #ended = new Set<string>();
  /** Workerman workers behind channel servers, with the time of their last answer. They do not answer questions to all workers. */
  readonly #bridged = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #announcements: BusSubscription;
  #calledAt = Number.NEGATIVE_INFINITY;
  /** Time of the first question to all workers since the last connection to NATS; undefined before that question's end. */
  #listeningSince: number | undefined;
  #disconnects = 0;
  #processesCheckedAt = Number.NEGATIVE_INFINITY;
  #isCalling = false;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#announcements = parts.bus.subscribe(parts.subjects.announcements, (message) => this.#onAnnouncement(message));
    parts.bus.onConnection((isConnected) => {
      this.#listeningSince = undefined;
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

  /** The workers that answered the last question. Questions do not wait for the others again. */
  get answering(): string[] {
    return this.workers.filter((worker) => this.#known.get(worker)?.isSilent === false);
  }

  /** `ended`: its connections are closed. `unknown`: nothing was received from it, or the registry has forgotten it. */
  stateOf(worker: string): "here" | "ended" | "unknown" {
    const answeredAt = this.#bridged.get(worker) ?? Number.NEGATIVE_INFINITY;
    if (this.#known.has(worker) || performance.now() - answeredAt < BRIDGED_FOR_MS) return "here";
    return this.#ended.has(worker) ? "ended" : "unknown";
  }

  /** Whether the registry knows every worker that NATS reaches. */
  get isSettled(): boolean {
    const { bus } = this.#parts;
    if (this.#listeningSince === undefined || this.#disconnects !== bus.traffic().disconnects) return false;
    return bus.health().alive && performance.now() - this.#listeningSince >= SETTLED_AFTER_MS;
  }

  /** Resolves with true once the registry is settled, with false when it is not within `timeoutMs`. */
  async settle(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    this.#callIfDue();
    while (!this.isSettled && performance.now() < deadline) await delay(SETTLE_CHECK_MS);
    return this.isSettled;
  }

  /** Records a message from the worker. */
  answered(worker: string, process?: string): void {
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
    this.answered(worker, process);
    const known = this.#known.get(worker);
    if (known === undefined) return;
    known.isSilent = true;
    known.missedSince = performance.now() - silentMs;
  }

  /** Records that the worker has announced its end. */
  ended(worker: string): void {
    this.#end(worker);
  }

  /** Whether announcements have been received for so long that a silent worker would have been forgotten. */
  get hasListenedForLong(): boolean {
    return this.isSettled && performance.now() - (this.#listeningSince ?? Number.POSITIVE_INFINITY) > FORGET_AFTER_MS;
  }

  /** Records that the worker did not answer in time. */
  didNotAnswer(worker: string): void {
    const known = this.#known.get(worker);
    if (known !== undefined) known.isSilent = true;
    this.#missed(worker);
  }

  /** Forgets the ended workers of this machine without a request. Repeated calls within some milliseconds do nothing. */
  findEndedHere(): void {
    const now = performance.now();
    if (now - this.#processesCheckedAt < CHECK_PROCESSES_EVERY_MS) return;
    this.#processesCheckedAt = now;
    for (const [worker, { process }] of this.#known) {
      if (process !== undefined && hasProcessEnded(process) === true) this.#end(worker);
    }
  }

  /** Checks whether `workers` have ended: on this machine directly, on other machines by a request to the workers there. */
  async findEnded(workers: readonly string[]): Promise<void> {
    this.findEndedHere();
    await Promise.all(workers.map((worker) => this.#askWhetherEnded(worker)));
  }

  async #askWhetherEnded(worker: string): Promise<void> {
    const known = this.#known.get(worker);
    const now = performance.now();
    if (known?.process === undefined || now - known.askedAt < ASK_AGAIN_AFTER_MS) return;
    known.askedAt = now;
    const answered = new AbortController();
    const onReply = (message: BusMessage) => {
      const hasEnded = endedReply.safeParse(parseJson(message)).data?.hasEnded;
      if (hasEnded === true) this.#end(worker);
      if (typeof hasEnded === "boolean" || message.data.length === 0) answered.abort();
    };
    await askUntil(this.#parts, { command: "has-ended", process: known.process }, onReply, answered.signal);
  }

  #onAnnouncement(message: BusMessage): void {
    const { data } = announcement.safeParse(parseJson(message));
    if (data?.state === "ended") this.#end(data.worker);
    else if (data !== undefined) this.answered(data.worker, data.process);
  }

  #end(worker: string): void {
    this.#known.delete(worker);
    this.#ended.add(worker);
    forgetFirst(this.#ended);
  }

  /** Forgets a worker that does not answer if there is one, else the oldest. */
  #forgetOne(): void {
    const silent = this.workers.find((worker) => this.#known.get(worker)?.missedSince !== undefined);
    this.#known.delete(silent ?? this.workers[0] ?? "");
  }

  #forgetSilent(): void {
    const oldest = performance.now() - FORGET_AFTER_MS;
    for (const [worker, { missedSince }] of this.#known) {
      if (missedSince !== undefined && missedSince < oldest) this.#known.delete(worker);
    }
  }

  #missed(worker: string): void {
    const known = this.#known.get(worker);
    if (known !== undefined) known.missedSince ??= performance.now();
  }

  #callIfDue(): void {
    const { bus } = this.#parts;
    if (bus.traffic().disconnects !== this.#disconnects) this.#listeningSince = undefined;
    const isDue = this.#listeningSince === undefined || performance.now() - this.#calledAt > CALL_EVERY_MS;
    if (isDue && !this.#isCalling && bus.health().alive) void this.#call();
  }

  async #call(): Promise<void> {
    const calledAt = performance.now();
    const { disconnects } = this.#parts.bus.traffic();
    this.#isCalling = true;
    try {
      const present = await this.#parts.call();
      // The next check asks again. Until then the registry is not settled.
      if (present === undefined) return;
      for (const { id, process } of present) this.answered(id, process);
      const ids = new Set(present.map(({ id }) => id));
      const missed = this.workers.filter((worker) => !ids.has(worker));
      for (const worker of missed) this.#missed(worker);
      this.#calledAt = calledAt;
      if (this.#listeningSince === undefined || this.#disconnects !== disconnects) this.#listeningSince = calledAt;
      this.#disconnects = disconnects;
      this.#forgetSilent();
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
