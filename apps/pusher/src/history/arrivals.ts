import type { BusMessage } from "@fanwire/bus";
import type { Account, MemoryBudget } from "../connections/memory-budget.ts";

/** Approximate memory of one arrival beside its content and headers. */
const ENTRY_BYTES = 300;
/** Content without an entry for this time was never stored. */
const EXPIRE_AFTER_MS = 60_000;

type Arrival = {
  readonly message: BusMessage;
  readonly subject: string;
  readonly at: number;
  /** Approximate memory. */
  readonly bytes: number;
  /** Whether another message with other content claims the same sequence. One of them is forged. */
  isDisputed: boolean;
};

/** Content of stored publications that waits for earlier ones. It may be evicted, because it can be fetched again. */
export class Arrivals {
  readonly #bySequence = new Map<number, Arrival>();
  readonly #account: Account;

  constructor(budget: MemoryBudget) {
    this.#account = budget.open(() => this.#bySequence.clear());
  }

  get size(): number {
    return this.#bySequence.size;
  }

  has(sequence: number): boolean {
    return this.#bySequence.has(sequence);
  }

  /** Keeps the first message with a sequence. @param subject the history subject. */
  add(sequence: number, subject: string, message: BusMessage): void {
    const known = this.#bySequence.get(sequence);
    if (known !== undefined) {
      known.isDisputed ||= known.subject !== subject || Buffer.compare(known.message.data, message.data) !== 0;
      return;
    }
    const bytes = message.data.length + (message.headers?.bytes ?? 0) + ENTRY_BYTES;
    this.#bySequence.set(sequence, {
      message: copyOf(message),
      subject,
      at: performance.now(),
      bytes,
      isDisputed: false,
    });
    this.#account.take(bytes);
  }

  /**
   * Removes and returns the content of an entry. Content that only claims the entry's sequence, or may do so, is
   * dropped.
   */
  take(entry: { readonly sequence: number; readonly subject: string; readonly bytes: number }): BusMessage | undefined {
    const arrival = this.drop(entry.sequence);
    if (arrival === undefined || arrival.isDisputed) return undefined;
    const isContent = arrival.subject === entry.subject && arrival.message.data.length === entry.bytes;
    return isContent ? arrival.message : undefined;
  }

  drop(sequence: number): Arrival | undefined {
    const arrival = this.#bySequence.get(sequence);
    if (arrival === undefined) return undefined;
    this.#bySequence.delete(sequence);
    this.#account.give(arrival.bytes);
    return arrival;
  }

  /** Drops content that has waited too long for its entry. Returns the number of dropped messages. */
  expire(): number {
    const before = performance.now() - EXPIRE_AFTER_MS;
    const old = [...this.#bySequence].filter(([, { at }]) => at < before);
    for (const [sequence] of old) this.drop(sequence);
    return old.length;
  }

  clear(): void {
    this.#bySequence.clear();
    this.#account.close();
  }
}

/**
 * Returns a copy, because the original keeps the buffer of a read from NATS, which may be hundreds of times as large.
 */
export function copyOf({ subject, data, headers }: BusMessage): BusMessage {
  return { subject, data: Buffer.from(data), headers, respond: () => false };
}
