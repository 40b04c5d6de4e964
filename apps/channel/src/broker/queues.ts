import type { Taker, WorkItem, WorkQueue } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Steps } from "../data/steps.ts";
import type { ClassRule } from "../php/classes.ts";
import type { Name } from "../wire/client-message.ts";
import { encodeQueueItem, type Reply, readQueueItem } from "../wire/server-message.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import type { Counters } from "./counters.ts";
import type { Deliveries } from "./deliveries.ts";
import type { LocalQueues } from "./local-queues.ts";
import { hashName } from "./name-hash.ts";
import type { PendingItems } from "./pending-items.ts";
import type { PublishWindow } from "./publish-window.ts";
import type { SlowPeers } from "./slow-peers.ts";

/** Time after which an item that this server refuses is offered again, perhaps to a server that delivers it. */
const REFUSED_AGAIN_MS = 10_000;
/** Minimum time between log lines about refused items of one kind. */
const LOG_EVERY_MS = 10_000;
const LONGEST_LOGGED_NAME = 200;

type Watched = {
  /** Time at which this server began to watch the queue, in milliseconds since 1970. */
  readonly since: number;
  taker: Taker | undefined;
  /** Number of items that are taken and not yet delivered. */
  taken: number;
};

type QueuesParts = {
  readonly subjects: Subjects;
  readonly localQueues: LocalQueues<BrokerPeer>;
  readonly pendingItems: PendingItems;
  readonly publishWindow: PublishWindow;
  readonly slowPeers: SlowPeers;
  readonly deliveries: Deliveries;
  readonly counters: Counters;
  readonly allowsClass: ClassRule;
  readonly log: Log;
};

/**
 * Whether the peer may receive items. One reserve on many queues may exceed its limit of unsent bytes, so further items
 * wait until it reads.
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
  /** Times of the last log lines about refused items, by message. */
  readonly #loggedAt = new Map<string, number>();
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
    if (isFirst) this.#watched.set(key, { since: Date.now(), taker: undefined, taken: 0 });
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
    const { localQueues, slowPeers, publishWindow } = this.#parts;
    const waiting = localQueues.waitingCount(key, slowPeers.count > 0 ? canTake : undefined) - watched.taken;
    if (waiting > 0 && watched.taker === undefined) {
      const subject = this.#subject(key);
      const name = subject.slice(subject.lastIndexOf(".") + 1);
      watched.taker = this.#queue?.take(subject, name, (item) => this.#onItem(key, watched, item));
    }
    if (watched.taker === undefined) return;
    publishWindow.count(0);
    watched.taker.want(Math.max(0, waiting));
  }

  #stopTaking(key: string): void {
    const taker = this.#watched.get(key)?.taker;
    this.#watched.delete(key);
    if (taker === undefined) return;
    this.#parts.publishWindow.count(0);
    taker.stop();
  }

  #onItem(key: string, watched: Watched, item: WorkItem): void {
    watched.taken++;
    this.#requestItems(key);
    this.#parts.deliveries.add(item.content.length, this.#deliver(key, watched, item));
  }

  *#deliver(key: string, watched: Watched, item: WorkItem): Steps<void> {
    const read = yield* readQueueItem(item.content, this.#parts.allowsClass);
    watched.taken--;
    if (read?.key !== key) this.#delete(key, item);
    else if (read.refusedClass !== undefined) this.#postpone(key, item, read.refusedClass);
    else this.#deliverToPeer(key, item, this.#payloadOf(key, watched, item, read));
    this.#requestItems(key);
  }

  #deliverToPeer(key: string, item: WorkItem, payload: Uint8Array): void {
    const { counters, localQueues } = this.#parts;
    const peer = this.#isStopped ? undefined : localQueues.takeNextWaiting(key, canTake);
    // Without a peer that may receive it, the item stays first in its queue.
    if (peer === undefined) {
      item.returnToQueue();
      return;
    }
    if (item.isRepeated) counters.items.repeated++;
    peer.deliver(payload, (isWritten) => {
      counters.items[isWritten ? "delivered" : "returned"]++;
      if (isWritten) item.acknowledge();
      else item.returnToQueue();
    });
  }

  /** Deletes a stored message that is no item of this queue. Any NATS client can store one. */
  #delete(key: string, item: WorkItem): void {
    this.#parts.counters.refusedFromNats["queue-item"]++;
    item.acknowledge();
    this.#logRefusal("message in the queue stream deleted: no item of its queue", { subject: this.#subject(key) });
  }

  /** Returns an item that this server must not deliver. Another server, or this one later, may allow its class. */
  #postpone(key: string, item: WorkItem, refusedClass: string): void {
    this.#parts.counters.items.returned++;
    item.returnToQueue(REFUSED_AGAIN_MS);
    const className = refusedClass.slice(0, LONGEST_LOGGED_NAME);
    this.#logRefusal("queue item returned: class not in CHANNEL_ALLOWED_CLASSES", {
      subject: this.#subject(key),
      className,
    });
  }

  #logRefusal(message: string, fields: { readonly subject: string; readonly className?: string }): void {
    const now = performance.now();
    if (now - (this.#loggedAt.get(message) ?? Number.NEGATIVE_INFINITY) < LOG_EVERY_MS) return;
    this.#loggedAt.set(message, now);
    this.#parts.log.error(fields, message);
  }

  /** Returns the payload for the peer. */
  #payloadOf(key: string, watched: Watched, item: WorkItem, read: Reply): Uint8Array {
    // Peers receive the queue name in the form that was used first: that of the item, unless this server watched the
    // queue before.
    const localName = watched.since < item.storedAt ? this.#parts.localQueues.nameOf(key) : undefined;
    if (localName === undefined) return item.content;
    // If the other form exceeds the largest frame, the item keeps its form. Clients treat both the same.
    return encodeQueueItem(localName, read.data) ?? item.content;
  }

  #subject(key: string): string {
    return this.#parts.subjects.channel("queue", key, hashName);
  }
}
