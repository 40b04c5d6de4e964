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

type Lane = {
  readonly key: string;
  readonly items: Item[];
  /** Refusals since the last success. */
  refusals: number;
  retryAt: number;
  isInFlight: boolean;
};

/** Events of one POST, and the number that each lane has in it. */
export type Batch = { readonly items: readonly Item[]; readonly lanes: ReadonlyMap<Lane, number> };

/**
 * The events that wait for one endpoint, in a lane for each topic. A batch may have events of many lanes. A lane of a refused
 * batch is retried alone, so that a topic whose events are refused does not hold up another one.
 */
export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  /** Lanes with events that were never refused and are not in flight. */
  readonly #fresh = new Set<Lane>();
  readonly #refused = new Set<Lane>();
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
    for (const { items } of this.#lanes.values()) {
      const first = items[0];
      if (first !== undefined && (oldest === undefined || first.acceptedAt < oldest)) oldest = first.acceptedAt;
    }
    return oldest;
  }

  add(item: Item): void {
    const lane = this.#lanes.get(item.key) ?? newLane(item.key);
    this.#lanes.set(item.key, lane);
    lane.items.push(item);
    this.#sequences.add(item.sequence);
    this.#bytes += item.entry.length;
    if (lane.refusals === 0 && !lane.isInFlight) this.#fresh.add(lane);
  }

  /** Takes up to `max` events of lanes that were not refused. */
  takeFresh(max: number): Batch | undefined {
    const items: Item[] = [];
    const lanes = new Map<Lane, number>();
    let bytes = 0;
    for (const lane of this.#fresh) {
      if (items.length >= max || bytes >= MAX_BATCH_BYTES) break;
      const taken = takeFrom(lane, max - items.length, MAX_BATCH_BYTES - bytes);
      bytes += bytesOf(taken);
      items.push(...taken);
      lanes.set(lane, taken.length);
      lane.isInFlight = true;
      this.#fresh.delete(lane);
    }
    // Receivers expect the order of time within a request, although only the order of each topic is promised.
    items.sort((one, another) => one.sequence - another.sequence);
    return items.length === 0 ? undefined : { items, lanes };
  }

  /** Takes up to `max` events of one refused lane whose time has come. */
  takeRefused(max: number, now: number): Batch | undefined {
    for (const lane of this.#refused) {
      if (lane.retryAt > now) continue;
      this.#refused.delete(lane);
      lane.isInFlight = true;
      const items = takeFrom(lane, max, MAX_BATCH_BYTES);
      return { items, lanes: new Map([[lane, items.length]]) };
    }
    return undefined;
  }

  /** Removes the events of a batch. */
  delivered({ lanes }: Batch): void {
    for (const [lane, count] of lanes) {
      lane.refusals = 0;
      this.#removeFirst(lane, count);
      this.#landed(lane);
    }
  }

  /** Keeps the events of a batch for another attempt. Returns those that were retried long enough, and removes them. */
  refused({ lanes }: Batch, now: number): Item[] {
    const dead: Item[] = [];
    for (const [lane, count] of lanes) {
      const tried = lane.items.slice(0, count);
      const old = tried.filter(({ acceptedAt }) => now - acceptedAt >= RETRY_FOR_MS);
      this.#removeFirst(lane, old.length);
      dead.push(...old);
      lane.retryAt = now + (RETRY_DELAYS_MS[Math.min(lane.refusals, RETRY_DELAYS_MS.length - 1)] ?? 0);
      lane.refusals++;
      this.#landed(lane);
    }
    return dead;
  }

  #removeFirst(lane: Lane, count: number): void {
    for (const { sequence, entry } of lane.items.splice(0, count)) {
      this.#sequences.delete(sequence);
      this.#bytes -= entry.length;
    }
  }

  #landed(lane: Lane): void {
    lane.isInFlight = false;
    if (lane.items.length === 0) this.#lanes.delete(lane.key);
    else if (lane.refusals === 0) this.#fresh.add(lane);
    else this.#refused.add(lane);
  }
}

/** Returns up to `max` events, until they exceed `maxBytes`; at least one. */
function takeFrom({ items }: Lane, max: number, maxBytes: number): Item[] {
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

function newLane(key: string): Lane {
  return { key, items: [], refusals: 0, retryAt: 0, isInFlight: false };
}
