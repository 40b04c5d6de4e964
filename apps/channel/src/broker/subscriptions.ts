import { type Link, LinkedList } from "../data/linked-list.ts";

type Channel<Peer> = {
  /** Subscribers in order of subscription. */
  subscribers: LinkedList<Peer>;
  /** The subscriber that had the last turn, or `undefined` past the end. */
  cursor: Link<Peer> | undefined;
};

/** The links of one peer by channel key, and the bytes of these keys. */
type Own<Peer> = { readonly links: Map<string, Link<Peer>>; nameBytes: number };

/**
 * The subscriptions of this server's peers, and the turn in each channel.
 *
 * Every operation takes constant time for each subscription that it changes, independent of the number of others.
 * Channels are named by their key. A channel without subscribers is removed together with its turn. Origin:
 * walkor/channel `src/Server.php`, which keeps a PHP array per channel and its internal pointer as the turn.
 */
export class Subscriptions<Peer> {
  readonly #channels = new Map<string, Channel<Peer>>();
  readonly #peers = new Map<Peer, Own<Peer>>();

  /** Number of channels with subscribers. */
  get channelCount(): number {
    return this.#channels.size;
  }

  /** Number of channels to which the peer subscribes. */
  countOf(peer: Peer): number {
    return this.#peers.get(peer)?.links.size ?? 0;
  }

  /** Bytes of the names of the channels to which the peer subscribes. */
  nameBytesOf(peer: Peer): number {
    return this.#peers.get(peer)?.nameBytes ?? 0;
  }

  /** Number of subscribers of the channel. */
  subscriberCount(key: string): number {
    return this.#channels.get(key)?.subscribers.size ?? 0;
  }

  /** Iterates over the keys of the channels to which the peer subscribes. Channels may be unsubscribed during the iteration. */
  eachKeyOf(peer: Peer): IterableIterator<string> {
    return (this.#peers.get(peer)?.links ?? new Map<string, Link<Peer>>()).keys();
  }

  /** Whether the peer subscribes to the channel. */
  has(peer: Peer, key: string): boolean {
    return this.#peers.get(peer)?.links.has(key) ?? false;
  }

  /** Subscribes the peer. A repeated call changes nothing. Returns true if the channel had no subscriber before. */
  subscribe(peer: Peer, key: string): boolean {
    const own = this.#peers.get(peer) ?? { links: new Map<string, Link<Peer>>(), nameBytes: 0 };
    if (own.links.has(key)) return false;
    const known = this.#channels.get(key);
    const channel = known ?? { subscribers: new LinkedList<Peer>(), cursor: undefined };
    const link = channel.subscribers.append(peer);
    // A PHP array pointer past the end moves to the next appended entry. The pointer of an empty array is past the end.
    channel.cursor ??= link;
    own.links.set(key, link);
    own.nameBytes += key.length;
    if (own.links.size === 1) this.#peers.set(peer, own);
    if (known === undefined) this.#channels.set(key, channel);
    return known === undefined;
  }

  /** Unsubscribes the peer. Returns true if it was the last subscriber of the channel. */
  unsubscribe(peer: Peer, key: string): boolean {
    const own = this.#peers.get(peer);
    const link = own?.links.get(key);
    if (own === undefined || link === undefined) return false;
    own.links.delete(key);
    own.nameBytes -= key.length;
    if (own.links.size === 0) this.#peers.delete(peer);
    return this.#remove(link, key);
  }

  /** Ends all subscriptions of the peer. Returns the keys of the channels that have no subscriber left. */
  disconnect(peer: Peer): string[] {
    const emptied: string[] = [];
    for (const [key, link] of this.#peers.get(peer)?.links ?? []) {
      if (this.#remove(link, key)) emptied.push(key);
    }
    this.#peers.delete(peer);
    return emptied;
  }

  /**
   * Visits the channel's subscribers in order of subscription. `visit` may unsubscribe and disconnect any peer, which
   * is not visited afterwards. `visit` must not subscribe a peer.
   */
  forEach(key: string, visit: (peer: Peer) => void): void {
    let link = this.#channels.get(key)?.subscribers.first;
    for (; link !== undefined; link = link.next) {
      if (link.isLinked) visit(link.value);
    }
  }

  /** Returns whether a subscriber of the channel meets the condition. */
  some(key: string, condition: (peer: Peer) => boolean): boolean {
    let link = this.#channels.get(key)?.subscribers.first;
    for (; link !== undefined; link = link.next) if (condition(link.value)) return true;
    return false;
  }

  /**
   * Advances the turn and returns the subscriber that has it now. New subscribers A, B, C have it in the order B, C, A
   * and so on. When the subscriber with the last turn leaves, its successor counts as having had the turn.
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
