import type { Bus } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import { encodeRequest } from "./control-messages.ts";

/** A roll older than this is called again while it is still used. */
const RENEW_AFTER_MS = 2_000;
/** A roll older than this is not used. */
const USABLE_FOR_MS = 10_000;
/** Who is silent for so long is not there, whatever NATS says: who subscribes to everything counts as listening too. */
const FORGET_AFTER_MS = 60_000;

type RollParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** How long NATS or a worker may take to answer. */
  readonly timeoutMs: number;
  /** Asks all workers who they are. Rejects when NATS cannot be asked. */
  call(): Promise<readonly { readonly id: string }[]>;
};

/**
 * Which workers there are. One that once answered is there until NATS says that nobody listens to its subject: a process that
 * died is gone at once, one that hangs is silent and still there for a minute.
 */
export class Roll {
  readonly #parts: RollParts;
  /** Since when each is silent; undefined as long as it answers. */
  readonly #silentSince = new Map<string, number | undefined>();
  #calledAt = Number.NEGATIVE_INFINITY;
  #calling: Promise<boolean> | undefined;

  constructor(parts: RollParts) {
    this.#parts = parts;
  }

  get workers(): string[] {
    return [...this.#silentSince.keys()];
  }

  /** Without those that kept silent when they were asked last: nobody waits for them twice. */
  get answering(): string[] {
    return this.workers.filter((worker) => this.#silentSince.get(worker) === undefined);
  }

  /** Resolves when the roll is young enough to be used; with false when it cannot be called. */
  async isKnown(): Promise<boolean> {
    const ageMs = performance.now() - this.#calledAt;
    if (ageMs > RENEW_AFTER_MS) this.#calling ??= this.#call();
    return ageMs <= USABLE_FOR_MS || (this.#calling ?? false);
  }

  /** It said something. */
  heard(worker: string): void {
    this.#silentSince.set(worker, undefined);
  }

  /** It was asked and did not answer in time. */
  notHeard(worker: string): void {
    if (this.#silentSince.has(worker)) this.#silentSince.set(worker, performance.now());
  }

  /** Strikes out those of `workers` that NATS does not know. */
  async strikeGone(workers: readonly string[]): Promise<void> {
    const { bus, subjects, timeoutMs } = this.#parts;
    const request = encodeRequest({ command: "describe" });
    await Promise.all(
      workers.map(async (worker) => {
        const outcome = await bus.request(subjects.worker(worker), request, { timeoutMs });
        if (!outcome.ok && outcome.reason === "no-responders") this.#silentSince.delete(worker);
      }),
    );
  }

  #forget(): void {
    const oldest = performance.now() - FORGET_AFTER_MS;
    for (const [worker, since] of this.#silentSince) {
      if (since !== undefined && since < oldest) this.#silentSince.delete(worker);
    }
  }

  async #call(): Promise<boolean> {
    const calledAt = performance.now();
    try {
      const present = new Set((await this.#parts.call()).map(({ id }) => id));
      for (const worker of present) this.heard(worker);
      this.#calledAt = calledAt;
      this.#forget();
      void this.strikeGone(this.workers.filter((worker) => !present.has(worker)));
      return true;
    } catch {
      // Whoever uses the roll says that it is not known.
      return false;
    } finally {
      this.#calling = undefined;
    }
  }
}
