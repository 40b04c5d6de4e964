/** Delays after the first, second, … refusal of the events of a topic. The last one repeats. */
const RETRY_DELAYS_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000];
/** An event that is refused is retried for this time. */
const RETRY_FOR_MS = 300_000;

/** A batch ends with the event that exceeds this. */
const MAX_BATCH_BYTES = 262_144;

export type Item = {
  readonly sequence: number;
  /** Events with the same key keep their order. */
  readonly key: string;
  readonly entry: string;
  /** Milliseconds since 1970. */
  readonly acceptedAt: number;
};

type RetryQueue = {
  readonly key: string;
  readonly items: Item[];
  /** Refusals since the last success. */
  refusals: number;
  retryAt: number;
  isInFlight: boolean;
};

/** Events of one POST, and the number that each queue has in it. */
export type Batch = { readonly items: readonly Item[]; readonly queues: ReadonlyMap<RetryQueue, number> };

/**
 * The events that wait for one endpoint, in a queue for each topic. A batch may have events of many queues. After a
 * refusal each queue is retried alone, so that a topic whose events are refused does not hold up another one.
 */
export class RetryQueues {
  readonly #queues = new Map<string, RetryQueue>();
  /** Queues with events that were never refused and are not in flight. */
  readonly #fresh = new Set<RetryQueue>();
  readonly #refused = new Set<RetryQueue>();
  readonly #sequences = new Set<number>();
  #bytes = 0;

  get size(): number {
    return this.#sequences.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Sequences of all events, those in flight too. */
  get sequences(): readonly number[] {
    return [...this.#sequences];
  }

  /** Time at which the oldest event was accepted; undefined without events. */
  get oldestAt(): number | undefined {
    let oldest: number | undefined;
    for (const { items } of this.#queues.values()) {
      const first = items[0];
      if (first !== undefined && (oldest === undefined || first.acceptedAt < oldest)) oldest = first.acceptedAt;
    }
    return oldest;
  }

  add(item: Item): void {
    const queue = this.#queues.get(item.key) ?? newQueue(item.key);
    this.#queues.set(item.key, queue);
    queue.items.push(item);
    this.#sequences.add(item.sequence);
    this.#bytes += item.entry.length;
    if (queue.refusals === 0 && !queue.isInFlight) this.#fresh.add(queue);
  }

  /** Takes up to `max` events of queues that were not refused. */
  takeFresh(max: number): Batch | undefined {
    const items: Item[] = [];
    const queues = new Map<RetryQueue, number>();
    let bytes = 0;
    for (const queue of this.#fresh) {
      if (items.length >= max || bytes >= MAX_BATCH_BYTES) break;
      const taken = takeFrom(queue, max - items.length, MAX_BATCH_BYTES - bytes);
      bytes += bytesOf(taken);
      items.push(...taken);
      queues.set(queue, taken.length);
      queue.isInFlight = true;
      this.#fresh.delete(queue);
    }
    // Receivers expect the order of time within a request, although only the order of each topic is promised.
    items.sort((one, another) => one.sequence - another.sequence);
    return items.length === 0 ? undefined : { items, queues };
  }

  /** Takes up to `max` events of one refused queue whose time has come. */
  takeRefused(max: number, now: number): Batch | undefined {
    for (const queue of this.#refused) {
      if (queue.retryAt > now) continue;
      this.#refused.delete(queue);
      queue.isInFlight = true;
      const items = takeFrom(queue, max, MAX_BATCH_BYTES);
      return { items, queues: new Map([[queue, items.length]]) };
    }
    return undefined;
  }

  /** Removes the events of a batch. */
  delivered({ queues }: Batch): void {
    for (const [queue, count] of queues) {
      queue.refusals = 0;
      this.#removeFirst(queue, count);
      this.#landed(queue);
    }
  }

  /** Keeps the events of a batch for another attempt. Returns those that were retried long enough, and removes them. */
  refused({ queues }: Batch, now: number): Item[] {
    const dead: Item[] = [];
    for (const [queue, count] of queues) {
      const tried = queue.items.slice(0, count);
      const old = tried.filter(({ acceptedAt }) => now - acceptedAt >= RETRY_FOR_MS);
      this.#removeFirst(queue, old.length);
      dead.push(...old);
      queue.retryAt = now + (RETRY_DELAYS_MS[Math.min(queue.refusals, RETRY_DELAYS_MS.length - 1)] ?? 0);
      queue.refusals++;
      this.#landed(queue);
    }
    return dead;
  }

  #removeFirst(queue: RetryQueue, count: number): void {
    for (const { sequence, entry } of queue.items.splice(0, count)) {
      this.#sequences.delete(sequence);
      this.#bytes -= entry.length;
    }
  }

  #landed(queue: RetryQueue): void {
    queue.isInFlight = false;
    if (queue.items.length === 0) this.#queues.delete(queue.key);
    else if (queue.refusals === 0) this.#fresh.add(queue);
    else this.#refused.add(queue);
  }
}

/** Returns up to `max` events, until they exceed `maxBytes`; at least one. */
function takeFrom({ items }: RetryQueue, max: number, maxBytes: number): Item[] {
  let bytes = 0;
  const end = items.findIndex(({ entry }, at) => {
    const isOver = at >= max || bytes >= maxBytes;
    bytes += entry.length;
    return isOver;
  });
  return end < 0 ? [...items] : items.slice(0, end);
}

function bytesOf(items: readonly Item[]): number {
  return items.reduce((sum, { entry }) => sum + entry.length, 0);
}

function newQueue(key: string): RetryQueue {
  return { key, items: [], refusals: 0, retryAt: 0, isInFlight: false };
}
