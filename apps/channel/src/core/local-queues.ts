import { type Link, LinkedList } from "./linked-list.ts";

type Queue<Peer> = {
  /** The serialized name as first seen. */
  name: Uint8Array;
  watcherCount: number;
  /** Those waiting for an item, longest first. */
  armed: LinkedList<Watch<Peer>>;
  mayHoldItems: boolean;
};

type Watch<Peer> = { readonly peer: Peer; readonly queue: Queue<Peer>; armed: Link<Watch<Peer>> | undefined };

/**
 * The consumers of this server: who watches which queue, and who of them waits for an item (is armed) in which order.
 * The items live elsewhere; whoever has one for a queue asks {@link nextArmed} whose it is.
 *
 * Queues are named by their key. One that nobody watches and that holds no items is forgotten, its first-seen name with
 * it. Origin: walkor/channel `src/Queue.php`.
 */
export class LocalQueues<Peer> {
  readonly #queues = new Map<string, Queue<Peer>>();
  /** By peer, then by queue key in the order of watching. */
  readonly #peers = new Map<Peer, Map<string, Watch<Peer>>>();

  /** How many queues are known here. */
  get queueCount(): number {
    return this.#queues.size;
  }

  /** How many queues the peer watches. */
  countOf(peer: Peer): number {
    return this.#peers.get(peer)?.size ?? 0;
  }

  /** Whether the peer watches the queue. */
  has(peer: Peer, key: string): boolean {
    return this.#peers.get(peer)?.has(key) ?? false;
  }

  /** The queues the peer watches, in the order of watching. */
  keysOf(peer: Peer): string[] {
    return [...(this.#peers.get(peer)?.keys() ?? [])];
  }

  /** The serialized name by which the queue was first watched or filled; what its consumers are to be told. */
  nameOf(key: string): Uint8Array | undefined {
    return this.#queues.get(key)?.name;
  }

  /** Twice is once. Watching alone arms nobody. True when nobody here watched the queue before. */
  watch(peer: Peer, key: string, name: Uint8Array): boolean {
    const own = this.#peers.get(peer) ?? new Map<string, Watch<Peer>>();
    if (own.has(key)) return false;
    const queue = this.#see(key, name);
    own.set(key, { peer, queue, armed: undefined });
    if (own.size === 1) this.#peers.set(peer, own);
    return ++queue.watcherCount === 1;
  }

  /** Also disarms. True when nobody here watches the queue any more. */
  unwatch(peer: Peer, key: string): boolean {
    const own = this.#peers.get(peer);
    const watch = own?.get(key);
    if (own === undefined || watch === undefined) return false;
    own.delete(key);
    if (own.size === 0) this.#peers.delete(peer);
    return this.#end(watch, key);
  }

  /** Unwatches everything. Returns the keys of the queues that nobody here watches any more. */
  disconnect(peer: Peer): string[] {
    const unwatched: string[] = [];
    for (const [key, watch] of this.#peers.get(peer) ?? []) {
      if (this.#end(watch, key)) unwatched.push(key);
    }
    this.#peers.delete(peer);
    return unwatched;
  }

  /**
   * Arms the peer on every queue it watches now, for one item of each; where it is armed already it keeps its place.
   * Returns the keys of these queues in the order of watching.
   */
  reserve(peer: Peer): string[] {
    const own = this.#peers.get(peer);
    if (own === undefined) return [];
    for (const watch of own.values()) watch.armed ??= watch.queue.armed.append(watch);
    return [...own.keys()];
  }

  /** How many peers wait for an item of the queue, of those that can take one. */
  armedCount(key: string, canTake?: (peer: Peer) => boolean): number {
    const armed = this.#queues.get(key)?.armed;
    if (armed === undefined || canTake === undefined) return armed?.size ?? 0;
    let count = 0;
    for (let link = armed.first; link !== undefined; link = link.next) if (canTake(link.value.peer)) count++;
    return count;
  }

  /**
   * The peer that has waited longest of those that can take an item, no longer armed on this queue; `undefined` if there is
   * none.
   */
  nextArmed(key: string, canTake: (peer: Peer) => boolean = () => true): Peer | undefined {
    let link = this.#queues.get(key)?.armed.first;
    while (link !== undefined && !canTake(link.value.peer)) link = link.next;
    if (link !== undefined) disarm(link.value);
    return link?.value.peer;
  }

  /** An item was put in the queue: its name is kept, watched or not, until {@link drained}. Returns the first-seen name. */
  enqueued(key: string, name: Uint8Array): Uint8Array {
    const queue = this.#see(key, name);
    queue.mayHoldItems = true;
    return queue.name;
  }

  /** The queue holds no items. */
  drained(key: string): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    queue.mayHoldItems = false;
    this.#forgetUnused(queue, key);
  }

  #see(key: string, name: Uint8Array): Queue<Peer> {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      // A copy: the name is usually a view that would keep a whole network chunk alive.
      queue = { name: new Uint8Array(name), watcherCount: 0, armed: new LinkedList(), mayHoldItems: false };
      this.#queues.set(key, queue);
    }
    return queue;
  }

  #end(watch: Watch<Peer>, key: string): boolean {
    disarm(watch);
    watch.queue.watcherCount--;
    this.#forgetUnused(watch.queue, key);
    return watch.queue.watcherCount === 0;
  }

  #forgetUnused(queue: Queue<Peer>, key: string): void {
    if (queue.watcherCount === 0 && !queue.mayHoldItems) this.#queues.delete(key);
  }
}

function disarm<Peer>(watch: Watch<Peer>): void {
  if (watch.armed !== undefined) watch.queue.armed.remove(watch.armed);
  watch.armed = undefined;
}
