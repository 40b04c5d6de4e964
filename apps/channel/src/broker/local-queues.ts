import { type Link, LinkedList } from "../data/linked-list.ts";

type Queue<Peer> = {
  /** The serialized name by which the queue was first watched. */
  name: Uint8Array;
  watcherCount: number;
  /** Watches that wait for an item, longest first. */
  waiting: LinkedList<Watch<Peer>>;
};

type Watch<Peer> = { readonly peer: Peer; readonly queue: Queue<Peer>; place: Link<Watch<Peer>> | undefined };

/** The watches of one peer by queue key, in order of watching, and the bytes of these keys. */
type Own<Peer> = { readonly watches: Map<string, Watch<Peer>>; nameBytes: number };

/**
 * The consumers of this server: which peer watches which queue, and in which order peers wait for an item.
 * Items are stored elsewhere. {@link takeNextWaiting} selects the peer for an item.
 *
 * A queue is identified by its key. A queue without watchers is removed together with its name. Origin:
 * walkor/channel `src/Queue.php`.
 */
export class LocalQueues<Peer> {
  readonly #queues = new Map<string, Queue<Peer>>();
  readonly #peers = new Map<Peer, Own<Peer>>();

  /** Number of queues known to this server. */
  get queueCount(): number {
    return this.#queues.size;
  }

  /** Number of queues that the peer watches. */
  countOf(peer: Peer): number {
    return this.#peers.get(peer)?.watches.size ?? 0;
  }

  /** Bytes of the names of the queues that the peer watches. */
  nameBytesOf(peer: Peer): number {
    return this.#peers.get(peer)?.nameBytes ?? 0;
  }

  /** Whether the peer watches the queue. */
  has(peer: Peer, key: string): boolean {
    return this.#peers.get(peer)?.watches.has(key) ?? false;
  }

  /** Keys of the queues that the peer watches, in order of watching. */
  keysOf(peer: Peer): string[] {
    return [...(this.#peers.get(peer)?.watches.keys() ?? [])];
  }

  /** The serialized name by which the queue was first watched. Consumers receive it. */
  nameOf(key: string): Uint8Array | undefined {
    return this.#queues.get(key)?.name;
  }

  /**
   * Adds a watch that does not wait for an item yet. A repeated call changes nothing. Returns true if the queue had no
   * watcher before.
   */
  watch(peer: Peer, key: string, name: Uint8Array): boolean {
    const own = this.#peers.get(peer) ?? { watches: new Map<string, Watch<Peer>>(), nameBytes: 0 };
    if (own.watches.has(key)) return false;
    const queue = this.#addQueue(key, name);
    own.watches.set(key, { peer, queue, place: undefined });
    own.nameBytes += key.length;
    if (own.watches.size === 1) this.#peers.set(peer, own);
    return ++queue.watcherCount === 1;
  }

  /** Removes a watch. Returns true if the queue has no watcher left. */
  unwatch(peer: Peer, key: string): boolean {
    const own = this.#peers.get(peer);
    const watch = own?.watches.get(key);
    if (own === undefined || watch === undefined) return false;
    own.watches.delete(key);
    own.nameBytes -= key.length;
    if (own.watches.size === 0) this.#peers.delete(peer);
    return this.#end(watch, key);
  }

  /** Removes all watches of the peer. Returns the keys of the queues that have no watcher left. */
  disconnect(peer: Peer): string[] {
    const unwatched: string[] = [];
    for (const [key, watch] of this.#peers.get(peer)?.watches ?? []) {
      if (this.#end(watch, key)) unwatched.push(key);
    }
    this.#peers.delete(peer);
    return unwatched;
  }

  /**
   * Lets the peer wait on every queue that it watches now, for one item of each. A watch that already waits keeps its
   * place. Returns the keys of these queues in order of watching.
   */
  reserve(peer: Peer): string[] {
    const watches = this.#peers.get(peer)?.watches;
    if (watches === undefined) return [];
    for (const watch of watches.values()) watch.place ??= watch.queue.waiting.append(watch);
    return [...watches.keys()];
  }

  /** Number of waiting peers of the queue that satisfy `canTake`. */
  waitingCount(key: string, canTake?: (peer: Peer) => boolean): number {
    const waiting = this.#queues.get(key)?.waiting;
    if (waiting === undefined || canTake === undefined) return waiting?.size ?? 0;
    let count = 0;
    for (let link = waiting.first; link !== undefined; link = link.next) if (canTake(link.value.peer)) count++;
    return count;
  }

  /**
   * Returns the peer that has waited longest of those that satisfy `canTake`, which then waits no
   * longer. Returns `undefined` if there is none.
   */
  takeNextWaiting(key: string, canTake: (peer: Peer) => boolean = () => true): Peer | undefined {
    let link = this.#queues.get(key)?.waiting.first;
    while (link !== undefined && !canTake(link.value.peer)) link = link.next;
    if (link !== undefined) endWait(link.value);
    return link?.value.peer;
  }

  #addQueue(key: string, name: Uint8Array): Queue<Peer> {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      // The name is copied, because it is usually a view that would keep a whole network chunk alive.
      queue = { name: new Uint8Array(name), watcherCount: 0, waiting: new LinkedList() };
      this.#queues.set(key, queue);
    }
    return queue;
  }

  #end(watch: Watch<Peer>, key: string): boolean {
    endWait(watch);
    watch.queue.watcherCount--;
    if (watch.queue.watcherCount > 0) return false;
    this.#queues.delete(key);
    return true;
  }
}

function endWait<Peer>(watch: Watch<Peer>): void {
  if (watch.place !== undefined) watch.queue.waiting.remove(watch.place);
  watch.place = undefined;
}
