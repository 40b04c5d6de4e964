import type { Taker, WorkItem, WorkQueue } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { LocalQueues } from "./core/local-queues.ts";
import type { ItemStore } from "./item-store.ts";
import { hashName } from "./name-hash.ts";
import type { Peer } from "./peer.ts";
import type { ClassRule } from "./php-classes.ts";
import { encodeQueueItem, readQueueItem } from "./replies.ts";
import type { Name } from "./request.ts";
import type { SlowPeers } from "./slow-peers.ts";
import type { Traffic } from "./traffic.ts";

type Watched = {
  /** When the first of those who watch it now began to; milliseconds since 1970. */
  readonly since: number;
  taker: Taker | undefined;
};

type QueuesParts = {
  readonly subjects: Subjects;
  readonly local: LocalQueues<Peer>;
  readonly store: ItemStore;
  readonly slowPeers: SlowPeers;
  readonly traffic: Traffic;
  readonly allowsClass: ClassRule;
};

/** One reserve is an item of each queue that a peer watches: more than fits waits until the peer has read some. */
const canTake = (peer: Peer) => !peer.isSlow;

/**
 * Queues shared by all channel servers: items are stored in JetStream, and each goes to one peer that has reserved one.
 * An item is finished when the network has taken it; of a peer that goes before that, it goes to another.
 */
export class Queues {
  readonly #parts: QueuesParts;
  readonly #watched = new Map<string, Watched>();
  #queue: WorkQueue | undefined;
  #isStopped = false;

  constructor(parts: QueuesParts) {
    this.#parts = parts;
  }

  /** NATS has been reached. */
  arrive(queue: WorkQueue): void {
    this.#queue = queue;
    this.#parts.store.arrive(queue);
    for (const key of this.#watched.keys()) this.#want(key);
  }

  enqueue({ key, raw }: Name, data: Buffer): void {
    const content = encodeQueueItem(raw, data);
    if (content !== undefined) this.#parts.store.add(this.#subject(key), content);
    else this.#parts.traffic.items["too-large"]++;
  }

  watch(peer: Peer, { key, raw }: Name): void {
    const isFirst = this.#parts.local.watch(peer, key, raw);
    if (isFirst) this.#watched.set(key, { since: Date.now(), taker: undefined });
  }

  unwatch(peer: Peer, key: string): void {
    const isUnwatched = this.#parts.local.unwatch(peer, key);
    if (isUnwatched) this.#forget(key);
    else this.#want(key);
  }

  /** Arms the peer for one item of each queue it watches. */
  reserve(peer: Peer): void {
    for (const key of this.#parts.local.reserve(peer)) this.#want(key);
  }

  disconnect(peer: Peer): void {
    const keys = this.#parts.local.keysOf(peer);
    for (const key of this.#parts.local.disconnect(peer)) this.#forget(key);
    for (const key of keys) this.#want(key);
  }

  /** Nobody gets an item any more. Those in hand are finished or given back as their peers' connections end. */
  stop(): void {
    this.#isStopped = true;
    for (const key of [...this.#watched.keys()]) this.#forget(key);
  }

  /** The peer was slow and has caught up. */
  onCaughtUp(peer: Peer): void {
    for (const key of this.#parts.local.keysOf(peer)) this.#want(key);
  }

  /** Asks for as many items as there are peers that wait for one and can take it. */
  #want(key: string): void {
    const watched = this.#watched.get(key);
    if (watched === undefined) return;
    const { local, slowPeers } = this.#parts;
    const armed = local.armedCount(key, slowPeers.count > 0 ? canTake : undefined);
    if (armed > 0 && watched.taker === undefined) {
      const subject = this.#subject(key);
      const name = subject.slice(subject.lastIndexOf(".") + 1);
      watched.taker = this.#queue?.take(subject, name, (item) => this.#onItem(key, item));
    }
    watched.taker?.want(armed);
  }

  #forget(key: string): void {
    this.#watched.get(key)?.taker?.stop();
    this.#watched.delete(key);
  }

  #onItem(key: string, item: WorkItem): void {
    const { traffic, local } = this.#parts;
    const payload = this.#payloadOf(key, item);
    if (payload === undefined) {
      traffic.refusedFromNats["queue-item"]++;
      item.finish();
      this.#want(key);
      return;
    }
    const peer = this.#isStopped ? undefined : local.nextArmed(key, canTake);
    // With no peer that can take it now, the item stays first in its queue until one has caught up.
    if (peer === undefined) item.giveBack();
    else {
      if (item.isRepeated) traffic.items.repeated++;
      peer.deliver(payload, (isWritten) => {
        traffic.items[isWritten ? "delivered" : "returned"]++;
        if (isWritten) item.finish();
        else item.giveBack();
      });
    }
    this.#want(key);
  }

  /** What the peer is sent; `undefined` for something that is no item of this queue, which anybody may have stored. */
  #payloadOf(key: string, item: WorkItem): Uint8Array | undefined {
    const read = readQueueItem(item.content, this.#parts.allowsClass);
    if (read?.key !== key) return undefined;
    // The name is that of whoever first saw the queue: who stored the item, unless it was watched here before.
    const since = this.#watched.get(key)?.since ?? Number.POSITIVE_INFINITY;
    const localName = since < item.storedAt ? this.#parts.local.nameOf(key) : undefined;
    if (localName === undefined) return item.content;
    // With another form of its name the largest frame would be exceeded: clients do not tell the two apart.
    return encodeQueueItem(localName, read.data) ?? item.content;
  }

  #subject(key: string): string {
    return this.#parts.subjects.channel("queue", key, hashName);
  }
}
