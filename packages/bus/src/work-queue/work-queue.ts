/**
 * The port to queues that any number of processes share. It exists before the first connection to NATS. An item is
 * stored until a taker acknowledges it. Items of one queue keep their order, and each is delivered to one taker.
 */
export interface WorkQueue {
  /**
   * Stores an item. Items of one event-loop tick are stored in order. After an unknown outcome, a retry under the same
   * `id` within two minutes does not store the item twice.
   */
  enqueue(subject: string, content: Uint8Array, id: string): Promise<EnqueueOutcome>;
  /** Opens the queue; nothing is taken before {@link Taker.want}. `name` is the name of the consumer in NATS. */
  take(subject: string, name: string, onItem: (item: WorkItem) => void): Taker;
  /** Stops taking. Items in flight can still be acknowledged. May be called twice. */
  stop(): Promise<void>;
}

/** `unavailable`: may be stored or not, can be retried. `too-large`: not stored, a retry is useless. */
export type EnqueueOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: "unavailable" | "too-large"; readonly detail: string };

export interface Taker {
  /**
   * Sets the number of items that are wanted now, in total. Must be called again after that number has arrived. After a
   * lower number, items that were on their way may still arrive.
   */
  want(count: number): void;
  stop(): void;
}

export interface WorkItem {
  readonly content: Uint8Array;
  /** Time at which it was stored, by the clock of the NATS server, in milliseconds since 1970. */
  readonly storedAt: number;
  /** Whether it was delivered before and not acknowledged. */
  readonly isRepeated: boolean;
  /** Acknowledges the item, which deletes it. */
  acknowledge(): void;
  /** Returns the item. The next taker gets it before later items, or at the earliest after `delayMs`. */
  returnToQueue(delayMs?: number): void;
}
