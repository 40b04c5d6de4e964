import type { ClusterEvent, EventName } from "@fanwire/protocol";
import type { HeldChanges } from "../cluster/held-changes.ts";
import { isCountKey, type Key, parseKey, topicKey } from "../cluster/keys.ts";
import type { Counters } from "../counters.ts";
import type { EventLog } from "./event-log.ts";
import type { SubscriptionCounts } from "./subscription-counts.ts";
import { Throttle } from "./throttle.ts";

/** Maximum bytes of events of workers that wait to be stored. Further ones are dropped. */
const MAX_WAITING_BYTES = 16_777_216;
/** Workers report no larger event. */
const MAX_EVENT_BYTES = 524_288;
/** Clients that miss a cached event of a topic within this time cause one event. */
const CACHE_MISS_MS = 1_000;

/** An event that a worker reported, with its number. */
type WorkerEvent = { readonly worker: string; readonly number: number; readonly event: ClusterEvent };

type Waiting =
  | { readonly kind: "key"; readonly key: Key }
  | (WorkerEvent & { readonly kind: "event"; readonly bytes: number });

type AnnouncerParts = {
  readonly log: EventLog;
  readonly held: Pick<HeldChanges, "announce" | "announceEarly">;
  readonly counts: Pick<SubscriptionCounts, "announce">;
  readonly wanted: ReadonlySet<EventName>;
  readonly counters: Counters;
  /** Returns a unique id. */
  nextId(): string;
};

/** Puts events in order and stores them, as fast as JetStream takes them. */
export class Announcer {
  readonly #parts: AnnouncerParts;
  readonly #misses = new Throttle(CACHE_MISS_MS);
  #waiting: Waiting[] = [];
  #first = 0;
  #bytes = 0;
  /** Keys that wait. A key waits once, and its state is read when its turn comes. */
  readonly #keys = new Set<Key>();

  constructor(parts: AnnouncerParts) {
    this.#parts = parts;
  }

  get waiting(): number {
    return this.#waiting.length - this.#first;
  }

  /** Must be called when the presence of a key, or the count of a topic, may have to be announced. */
  addKey(key: Key): void {
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    this.#waiting.push({ kind: "key", key });
  }

  /** Adds an event of a worker. Its events must come in the order of their numbers. */
  addEvent(reported: WorkerEvent): void {
    const { event } = reported;
    const { wanted, counters } = this.#parts;
    if (!wanted.has(event.name)) return;
    if (event.name === "cache_miss" && !this.#misses.mayPass(event.topic ?? "")) return;
    const bytes = Buffer.byteLength(JSON.stringify(event));
    if (bytes > MAX_EVENT_BYTES || this.#bytes + bytes > MAX_WAITING_BYTES) {
      counters.droppedEvents++;
      return;
    }
    this.#bytes += bytes;
    this.#waiting.push({ kind: "event", bytes, ...reported });
  }

  /** Returns the number of the first event of each worker that waits. */
  firstWaiting(): ReadonlyMap<string, number> {
    const first = new Map<string, number>();
    for (const next of this.#waiting.slice(this.#first)) {
      if (next.kind === "event" && !first.has(next.worker)) first.set(next.worker, next.number);
    }
    return first;
  }

  /** Stores what waits, unless the log is full. */
  store(): void {
    const { log } = this.#parts;
    while (!log.isFull) {
      const next = this.#waiting[this.#first];
      if (next === undefined) break;
      this.#first++;
      if (next.kind === "key") this.#storeKey(next.key);
      else {
        this.#bytes -= next.bytes;
        this.#add(next.event);
      }
    }
    if (this.#first < 1_000 && this.#first < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }

  #storeKey(key: Key): void {
    this.#keys.delete(key);
    const about = parseKey(key);
    if (isCountKey(key)) {
      this.#storeCount(about.topic);
      return;
    }
    const change = this.#parts.held.announce(key);
    if (change === undefined) return;
    const isMember = about.user !== undefined;
    if (isMember && change === "present") this.#occupy(about.topic);
    const name = change === "present" ? (isMember ? "member_joined" : "topic_occupied") : undefined;
    this.#add(this.#create(name ?? (isMember ? "member_left" : "topic_vacated"), about));
  }

  /** A user joins a topic before its connection is subscribed, but receivers expect members on occupied topics only. */
  #occupy(topic: string): void {
    const { held, wanted } = this.#parts;
    if (!wanted.has("topic_occupied") || !held.announceEarly(topicKey(topic))) return;
    this.#add(this.#create("topic_occupied", { topic }));
  }

  #storeCount(topic: string): void {
    const count = this.#parts.counts.announce(topic);
    if (count !== undefined) this.#add(this.#create("subscription_count", { topic, count }));
  }

  #add(event: ClusterEvent): void {
    const { log, counters, wanted } = this.#parts;
    if (!wanted.has(event.name)) return;
    counters.events[event.name]++;
    log.add(event);
  }

  #create(name: EventName, about: Omit<ClusterEvent, "id" | "name" | "time">): ClusterEvent {
    return { id: this.#parts.nextId(), name, time: new Date().toISOString(), ...about };
  }
}
