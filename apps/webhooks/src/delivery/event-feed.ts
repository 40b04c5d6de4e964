import type { ClusterEvent } from "@fanwire/protocol";
import type { EndpointSender } from "./endpoint-sender.ts";

/** Reads of stored events at the same time. */
const PARALLEL_READS = 32;

type EventFeedParts = {
  readonly senders: readonly EndpointSender[];
  read(sequence: number): Promise<{ readonly isStored: boolean; readonly event: ClusterEvent | undefined }>;
  /** Returns the first sequence that is still stored. */
  firstSequence(): Promise<number>;
  onLost(events: number): void;
  onFailed(error: unknown): void;
};

/** Brings stored events to all endpoints: at once to those that are up to date, and read again for the others. */
export class EventFeed {
  readonly #parts: EventFeedParts;
  readonly #reading = new Set<EndpointSender>();
  #lastSequence: number;
  #isStopped = false;

  constructor(lastSequence: number, parts: EventFeedParts) {
    this.#lastSequence = lastSequence;
    this.#parts = parts;
  }

  /** Must be called with each stored event, in order. */
  onStored(sequence: number, event: ClusterEvent | undefined): void {
    this.#lastSequence = sequence;
    for (const sender of this.#parts.senders) {
      if (sender.cursor === sequence - 1 && sender.hasRoom && !this.#reading.has(sender))
        sender.accept(sequence, event);
      else this.resume(sender);
    }
  }

  /** Reads what an endpoint has not accepted yet. */
  resume(sender: EndpointSender): void {
    if (this.#isStopped || this.#reading.has(sender) || !this.#isBehind(sender)) return;
    this.#reading.add(sender);
    void this.#read(sender)
      .catch((error: unknown) => this.#parts.onFailed(error))
      .finally(() => this.#reading.delete(sender));
  }

  stop(): void {
    this.#isStopped = true;
  }

  #isBehind(sender: EndpointSender): boolean {
    return sender.hasRoom && sender.cursor < this.#lastSequence;
  }

  async #read(sender: EndpointSender): Promise<void> {
    while (this.#isBehind(sender) && !this.#isStopped) {
      const from = sender.cursor + 1;
      const length = Math.min(PARALLEL_READS, this.#lastSequence - sender.cursor);
      const reads = await Promise.all(Array.from({ length }, (_, at) => this.#parts.read(from + at)));
      const isStored = reads.findIndex((read) => read.isStored);
      if (isStored !== 0) await this.#skipLost(sender);
      for (const [at, { event }] of reads.entries()) {
        if (from + at === sender.cursor + 1) sender.accept(from + at, event);
      }
    }
  }

  /** Moves on to the first event that is stored. */
  async #skipLost(sender: EndpointSender): Promise<void> {
    const first = Math.min(await this.#parts.firstSequence(), this.#lastSequence + 1);
    const lost = first - 1 - sender.cursor;
    if (lost <= 0) return;
    this.#parts.onLost(lost);
    sender.accept(first - 1, undefined);
  }
}
