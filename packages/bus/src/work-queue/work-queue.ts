/**
 * Queues whose items are stored until somebody has taken them, by any number of processes. Items of one queue keep their
 * order; each goes to one taker.
 */
export interface WorkQueue {
  /**
   * Stores an item. Items handed over in one turn of the event loop are stored in that order. One whose fate is unknown
   * may be handed over again under the same `id`, for two minutes, and is stored once.
   */
  enqueue(subject: string, content: Uint8Array, id: string): Promise<EnqueueOutcome>;
  /** Opens the queue for taking; nothing is taken before {@link Taker.want}. `name` is what NATS calls its consumer. */
  take(subject: string, name: string, onItem: (item: WorkItem) => void): Taker;
  /** Stops taking. Items in hand can still be finished. May be called twice. */
  stop(): Promise<void>;
}

/** `unavailable`: perhaps stored, perhaps not; to be tried again. `too-large`: never. */
export type EnqueueOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: "unavailable" | "too-large"; readonly detail: string };

export interface Taker {
  /**
   * Says for how many items there is somebody now, not how many more. Once items have come for all of them it has to be
   * said again. With fewer than before, one that was on its way may still come.
   */
  want(count: number): void;
  stop(): void;
}

export interface WorkItem {
  readonly content: Uint8Array;
  /** When it was stored, by the clock of the NATS server; milliseconds since 1970. */
  readonly storedAt: number;
  /** Somebody was given it before, and did not finish. */
  readonly isRepeated: boolean;
  /** It is done with, and deleted. */
  finish(): void;
  /** It goes to the next who wants one, before later items. */
  giveBack(): void;
}
