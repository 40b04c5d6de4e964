import type { Taker, WorkItem, WorkQueue } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { ClassRule } from "../php/classes.ts";
import type { Name } from "../wire/client-message.ts";
import { encodeQueueItem, readQueueItem } from "../wire/server-message.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import type { Counters } from "./counters.ts";
import type { LocalQueues } from "./local-queues.ts";
import { hashName } from "./name-hash.ts";
import type { PendingItems } from "./pending-items.ts";
import type { SlowPeers } from "./slow-peers.ts";

type Watched = {
  /** Time of the first watch since the queue had no watcher, in milliseconds since 1970. */
  readonly since: number;
  taker: Taker | undefined;
};

type QueuesParts = {
  readonly subjects: Subjects;
  readonly localQueues: LocalQueues<BrokerPeer>;
  readonly pendingItems: PendingItems;
  readonly slowPeers: SlowPeers;
  readonly counters: Counters;
  readonly allowsClass: ClassRule;
};

/**
 * Whether the peer may receive items. One reserve on many queues may exceed its unsent bytes, so further items wait
 * until it reads.
 */
const canTake = (peer: BrokerPeer) => !peer.isSlow;

/**
 * Queues shared by all channel servers. Items are stored in JetStream, and each is delivered to one peer that has
 * reserved one. An item is acknowledged once it is written to the socket. If the peer disconnects before, the item is
 * delivered to another peer.
 */
export class Queues {
  readonly #parts: QueuesParts;
  readonly #watched = new Map<string, Watched>();
  #queue: WorkQueue | undefined;
  #isStopped = false;

  constructor(parts: QueuesParts) {
    this.#parts = parts;
  }

  /** Must be called when NATS is connected for the first time. */
  start(queue: WorkQueue): void {
    this.#queue = queue;
    this.#parts.pendingItems.start(queue);
    for (const key of this.#watched.keys()) this.#requestItems(key);
  }

  enqueue({ key, raw }: Name, data: Buffer): void {
    const content = encodeQueueItem(raw, data);
    if (content !== undefined) this.#parts.pendingItems.add(this.#subject(key), content);
    else this.#parts.counters.items["too-large"]++;
  }

  watch(peer: BrokerPeer, { key, raw }: Name): void {
    const isFirst = this.#parts.localQueues.watch(peer, key, raw);
    if (isFirst) this.#watched.set(key, { since: Date.now(), taker: undefined });
  }

  unwatch(peer: BrokerPeer, key: string): void {
    const isUnwatched = this.#parts.localQueues.unwatch(peer, key);
    if (isUnwatched) this.#stopTaking(key);
    else this.#requestItems(key);
  }

  /** Reserves one item of each queue that the peer watches. */
  reserve(peer: BrokerPeer): void {
    for (const key of this.#parts.localQueues.reserve(peer)) this.#requestItems(key);
  }

  disconnect(peer: BrokerPeer): void {
    const keys = this.#parts.localQueues.keysOf(peer);
    for (const key of this.#parts.localQueues.disconnect(peer)) this.#stopTaking(key);
    for (const key of keys) this.#requestItems(key);
  }

  /** Stops delivering items. Items in flight are acknowledged or returned when their peers' connections end. */
  stop(): void {
    this.#isStopped = true;
    for (const key of [...this.#watched.keys()]) this.#stopTaking(key);
  }

  /** Must be called when a slow peer has caught up. */
  onCaughtUp(peer: BrokerPeer): void {
    for (const key of this.#parts.localQueues.keysOf(peer)) this.#requestItems(key);
  }

  /** Requests one item for each peer that has reserved one and may receive it. */
  #requestItems(key: string): void {
    const watched = this.#watched.get(key);
    if (watched === undefined) return;
    const { localQueues, slowPeers } = this.#parts;
    const armed = localQueues.armedCount(key, slowPeers.count > 0 ? canTake : undefined);
    if (armed > 0 && watched.taker === undefined) {
      const subject = this.#subject(key);
      const name = subject.slice(subject.lastIndexOf(".") + 1);
      watched.taker = this.#queue?.take(subject, name, (item) => this.#onItem(key, item));
    }
    watched.taker?.want(armed);
  }

  #stopTaking(key: string): void {
    this.#watched.get(key)?.taker?.stop();
    this.#watched.delete(key);
  }

  #onItem(key: string, item: WorkItem): void {
    const { counters, localQueues } = this.#parts;
    const payload = this.#payloadOf(key, item);
    if (payload === undefined) {
      counters.refusedFromNats["queue-item"]++;
      item.finish();
      this.#requestItems(key);
      return;
    }
    const peer = this.#isStopped ? undefined : localQueues.nextArmed(key, canTake);
    // Without a peer that may receive it, the item stays first in its queue.
    if (peer === undefined) item.giveBack();
    else {
      if (item.isRepeated) counters.items.repeated++;
      peer.deliver(payload, (isWritten) => {
        counters.items[isWritten ? "delivered" : "returned"]++;
        if (isWritten) item.finish();
        else item.giveBack();
      });
    }
    this.#requestItems(key);
  }

  /**
   * Returns the payload for the peer, or `undefined` if the stored message is no item of this queue, because any NATS
   * client can store one.
   */
  #payloadOf(key: string, item: WorkItem): Uint8Array | undefined {
    const read = readQueueItem(item.content, this.#parts.allowsClass);
    if (read?.key !== key) return undefined;
    // The name is the first form that created the queue: that of the item, unless the queue was watched on this server
    // before.
    const since = this.#watched.get(key)?.since ?? Number.POSITIVE_INFINITY;
    const localName = since < item.storedAt ? this.#parts.localQueues.nameOf(key) : undefined;
    if (localName === undefined) return item.content;
    // If the other form exceeds the largest frame, the item keeps its form. Clients treat both alike.
    return encodeQueueItem(localName, read.data) ?? item.content;
  }

  #subject(key: string): string {
    return this.#parts.subjects.channel("queue", key, hashName);
  }
}
