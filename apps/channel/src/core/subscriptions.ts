import { type Link, LinkedList } from "./linked-list.ts";

type Channel<Peer> = {
  /** In order of subscription. */
  subscribers: LinkedList<Peer>;
  /** The subscriber whose turn it was last; `undefined` past the last one. */
  cursor: Link<Peer> | undefined;
};

/**
 * Which peers of this server subscribe to which channel, and whose turn it is in each.
 *
 * Every operation takes constant time for each subscription it concerns, whatever the number of others. Channels are
 * named by their key; one without subscribers is forgotten, its turn with it. Origin: walkor/channel `src/Server.php`,
 * which keeps a PHP array per channel and its internal pointer as the turn.
 */
export class Subscriptions<Peer> {
  readonly #channels = new Map<string, Channel<Peer>>();
  /** By peer, then by channel key. */
  readonly #peers = new Map<Peer, Map<string, Link<Peer>>>();

  /** How many channels have subscribers. */
  get channelCount(): number {
    return this.#channels.size;
  }

  /** How many channels the peer subscribes to. */
  countOf(peer: Peer): number {
    return this.#peers.get(peer)?.size ?? 0;
  }

  /** How many peers subscribe to the channel. */
  subscriberCount(key: string): number {
    return this.#channels.get(key)?.subscribers.size ?? 0;
  }

  /** The channels the peer subscribes to. */
  keysOf(peer: Peer): string[] {
    return [...(this.#peers.get(peer)?.keys() ?? [])];
  }

  /** The same, one after the other: channels may be left meanwhile. */
  eachKeyOf(peer: Peer): IterableIterator<string> {
    return (this.#peers.get(peer) ?? new Map<string, Link<Peer>>()).keys();
  }

  /** Whether the peer subscribes to the channel. */
  has(peer: Peer, key: string): boolean {
    return this.#peers.get(peer)?.has(key) ?? false;
  }

  /** Twice is once, and keeps its place. True when the channel had no subscriber before. */
  subscribe(peer: Peer, key: string): boolean {
    const own = this.#peers.get(peer) ?? new Map<string, Link<Peer>>();
    if (own.has(key)) return false;
    const known = this.#channels.get(key);
    const channel = known ?? { subscribers: new LinkedList<Peer>(), cursor: undefined };
    const link = channel.subscribers.append(peer);
    // The pointer past the end of a PHP array is on whatever is appended next; an empty one's is past the end.
    channel.cursor ??= link;
    own.set(key, link);
    if (own.size === 1) this.#peers.set(peer, own);
    if (known === undefined) this.#channels.set(key, channel);
    return known === undefined;
  }

  /** True when this was the channel's last subscriber. */
  unsubscribe(peer: Peer, key: string): boolean {
    const own = this.#peers.get(peer);
    const link = own?.get(key);
    if (own === undefined || link === undefined) return false;
    own.delete(key);
    if (own.size === 0) this.#peers.delete(peer);
    return this.#remove(link, key);
  }

  /** Ends all subscriptions of the peer. Returns the keys of the channels whose last subscriber it was. */
  disconnect(peer: Peer): string[] {
    const emptied: string[] = [];
    for (const [key, link] of this.#peers.get(peer) ?? []) {
      if (this.#remove(link, key)) emptied.push(key);
    }
    this.#peers.delete(peer);
    return emptied;
  }

  /**
   * Visits the channel's subscribers in order of subscription. `visit` may unsubscribe and disconnect any peer, which is
   * then no longer visited; it must not subscribe any.
   */
  forEach(key: string, visit: (peer: Peer) => void): void {
    let link = this.#channels.get(key)?.subscribers.first;
    for (; link !== undefined; link = link.next) {
      if (link.isLinked) visit(link.value);
    }
  }

  /** Whether one of the channel's subscribers meets the condition. */
  some(key: string, condition: (peer: Peer) => boolean): boolean {
    let link = this.#channels.get(key)?.subscribers.first;
    for (; link !== undefined; link = link.next) if (condition(link.value)) return true;
    return false;
  }

  /**
   * Passes the turn on and returns the subscriber who has it now: of fresh subscribers A, B, C that is B, C, A, B… When
   * the one whose turn it was last leaves, its successor counts as having had it.
   */
  nextInTurn(key: string): Peer | undefined {
    const channel = this.#channels.get(key);
    if (channel === undefined) return undefined;
    channel.cursor = channel.cursor?.next ?? channel.subscribers.first;
    return channel.cursor?.value;
  }

  #remove(link: Link<Peer>, key: string): boolean {
    const channel = this.#channels.get(key);
    if (channel === undefined) return false;
    if (channel.cursor === link) channel.cursor = link.next;
    channel.subscribers.remove(link);
    return channel.subscribers.size === 0 && this.#channels.delete(key);
  }
}
