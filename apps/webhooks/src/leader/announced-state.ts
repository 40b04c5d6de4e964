import type { ClusterEvent } from "@fanwire/protocol";
import type { AnnouncedKeys } from "../cluster/held-changes.ts";
import { countKey, type Key, memberKey, topicKey } from "../cluster/keys.ts";

/** Number of records that share the keys. Each must fit into a NATS message. */
export const BUCKETS = 1_024;

/**
 * The topics and members that were announced as present, the topics with an announced count above 0, and the last event
 * of each worker. The leader saves the state from time to time, and the next leader brings it up to date with the events
 * that were stored afterwards.
 */
export class AnnouncedState implements AnnouncedKeys {
  readonly lastEvents = new Map<string, number>();
  readonly #buckets = new Map<number, Set<Key>>();
  #changed = new Set<number>();

  has(key: Key): boolean {
    return this.#buckets.get(bucketOf(key))?.has(key) ?? false;
  }

  add(key: Key): void {
    if (this.has(key)) return;
    const at = bucketOf(key);
    const bucket = this.#buckets.get(at) ?? new Set();
    this.#buckets.set(at, bucket.add(key));
    this.#changed.add(at);
  }

  delete(key: Key): void {
    const at = bucketOf(key);
    this.#changed.add(at);
    this.#buckets.get(at)?.delete(key);
  }

  *[Symbol.iterator](): Generator<Key> {
    for (const bucket of this.#buckets.values()) yield* bucket;
  }

  /** Applies a stored event. */
  apply({ name, id, topic, user, count }: ClusterEvent): void {
    const [source, number] = id.split("-");
    if (source !== undefined && Number.isSafeInteger(Number(number))) this.lastEvents.set(source, Number(number));
    if (topic === undefined) return;
    if (name === "topic_occupied") this.add(topicKey(topic));
    else if (name === "topic_vacated") this.delete(topicKey(topic));
    else if (name === "subscription_count" && count === 0) this.delete(countKey(topic));
    else if (name === "subscription_count") this.add(countKey(topic));
    else if (user === undefined) return;
    else if (name === "member_joined") this.add(memberKey(topic, user));
    else if (name === "member_left") this.delete(memberKey(topic, user));
  }

  /** Returns the buckets that have changed since the last call, with their keys now. */
  takeChanged(): ReadonlyMap<number, readonly Key[]> {
    const changed = new Map([...this.#changed].map((at) => [at, [...(this.#buckets.get(at) ?? [])]] as const));
    this.#changed = new Set();
    return changed;
  }
}

/** FNV-1a. */
function bucketOf(key: Key): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % BUCKETS;
}
