import { type Link, LinkedList } from "../data/linked-list.ts";

type Queue<Peer> = {
  /** The serialized name by which the queue was first watched. */
  name: Uint8Array;
  watcherCount: number;
  /** Watches that wait for an item, longest first. */
  armed: LinkedList<Watch<Peer>>;
};

type Watch<Peer> = { readonly peer: Peer; readonly queue: Queue<Peer>; armed: Link<Watch<Peer>> | undefined };

/**
 * The consumers of this server: which peer watches which queue, and in which order peers wait for an item ("armed"
 * peers). Items are stored elsewhere. {@link nextArmed} selects the peer for an item.
 *
 * Queues are named by their key. A queue without watchers is removed together with its name. Origin:
 * walkor/channel `src/Queue.php`.
 */
export class LocalQueues<Peer> {
  readonly #queues = new Map<string, Queue<Peer>>();
  /** Watches by peer, then by queue key in order of watching. */
  readonly #peers = new Map<Peer, Map<string, Watch<Peer>>>();

  /** Number of queues known to this server. */
  get queueCount(): number {
    return this.#queues.size;
  }

  /** Number of queues that the peer watches. */
  countOf(peer: Peer): number {
    return this.#peers.get(peer)?.size ?? 0;
  }

  /** Whether the peer watches the queue. */
  has(peer: Peer, key: string): boolean {
    return this.#peers.get(peer)?.has(key) ?? false;
  }

  /** Keys of the queues that the peer watches, in order of watching. */
  keysOf(peer: Peer): string[] {
    return [...(this.#peers.get(peer)?.keys() ?? [])];
  }

  /** The serialized name by which the queue was first watched. Consumers receive it. */
  nameOf(key: string): Uint8Array | undefined {
    return this.#queues.get(key)?.name;
  }

  /**
   * Adds a watch without arming it. A repeated call changes nothing. Returns true if the queue had no watcher before.
   */
  watch(peer: Peer, key: string, name: Uint8Array): boolean {
    const own = this.#peers.get(peer) ?? new Map<string, Watch<Peer>>();
    if (own.has(key)) return false;
    const queue = this.#addQueue(key, name);
    own.set(key, { peer, queue, armed: undefined });
    if (own.size === 1) this.#peers.set(peer, own);
    return ++queue.watcherCount === 1;
  }

  /** Removes and disarms a watch. Returns true if the queue has no watcher left. */
  unwatch(peer: Peer, key: string): boolean {
    const own = this.#peers.get(peer);
    const watch = own?.get(key);
    if (own === undefined || watch === undefined) return false;
    own.delete(key);
    if (own.size === 0) this.#peers.delete(peer);
    return this.#end(watch, key);
  }

  /** Removes all watches of the peer. Returns the keys of the queues that have no watcher left. */
  disconnect(peer: Peer): string[] {
    const unwatched: string[] = [];
    for (const [key, watch] of this.#peers.get(peer) ?? []) {
      if (this.#end(watch, key)) unwatched.push(key);
    }
    this.#peers.delete(peer);
    return unwatched;
  }

  /**
   * Arms the peer on every queue that it watches now, for one item of each. A watch that is already armed keeps its
   * place. Returns the keys of these queues in order of watching.
   */
  reserve(peer: Peer): string[] {
    const own = this.#peers.get(peer);
    if (own === undefined) return [];
    for (const watch of own.values()) watch.armed ??= watch.queue.armed.append(watch);
    return [...own.keys()];
  }

  /** Number of armed peers of the queue that satisfy `canTake`. */
  armedCount(key: string, canTake?: (peer: Peer) => boolean): number {
    const armed = this.#queues.get(key)?.armed;
    if (armed === undefined || canTake === undefined) return armed?.size ?? 0;
    let count = 0;
    for (let link = armed.first; link !== undefined; link = link.next) if (canTake(link.value.peer)) count++;
    return count;
  }

  /**
   * Disarms and returns the peer that has waited longest of those that satisfy `canTake`. Returns `undefined` if there
   * is none.
   */
  nextArmed(key: string, canTake: (peer: Peer) => boolean = () => true): Peer | undefined {
    let link = this.#queues.get(key)?.armed.first;
    while (link !== undefined && !canTake(link.value.peer)) link = link.next;
    if (link !== undefined) disarm(link.value);
    return link?.value.peer;
  }

  #addQueue(key: string, name: Uint8Array): Queue<Peer> {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      // The name is copied, because it is usually a view that would keep a whole network chunk alive.
      queue = { name: new Uint8Array(name), watcherCount: 0, armed: new LinkedList() };
      this.#queues.set(key, queue);
    }
    return queue;
  }

  #end(watch: Watch<Peer>, key: string): boolean {
    disarm(watch);
    watch.queue.watcherCount--;
    if (watch.queue.watcherCount > 0) return false;
    this.#queues.delete(key);
    return true;
  }
}

function disarm<Peer>(watch: Watch<Peer>): void {
  if (watch.armed !== undefined) watch.queue.armed.remove(watch.armed);
  watch.armed = undefined;
}
