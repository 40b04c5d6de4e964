import type { Pace } from "../data/pace.ts";
import { PacedWalk } from "../data/paced-walk.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** Maximum time without progress of a peer for which others wait. */
export const STALL_MS = 10_000;
/** Maximum time in which a peer for which others wait must catch up, so that a trickle does not delay them for ever. */
export const CATCH_UP_MS = 60_000;

type Slow = { readonly since: number };

/**
 * The slow peers, for which publishers wait. A slow peer that makes no progress is closed, so that one stuck subscriber
 * delays publishers for a bounded time.
 */
export class SlowPeers {
  readonly #subscriptions: Subscriptions<BrokerPeer>;
  readonly #onFree: (peer: BrokerPeer) => void;
  readonly #peers = new Map<BrokerPeer, Slow>();
  readonly #check: PacedWalk<readonly [BrokerPeer, Slow]>;

  /** `closePace` limits how long closing takes in a tick. `onFree` is called when a peer has caught up or is closed. */
  constructor(subscriptions: Subscriptions<BrokerPeer>, closePace: Pace, onFree: (peer: BrokerPeer) => void) {
    this.#subscriptions = subscriptions;
    this.#onFree = onFree;
    this.#check = new PacedWalk(closePace, ([peer, { since }]) => {
      const now = performance.now();
      if (isStalled(peer, now) || now - since > CATCH_UP_MS) peer.close("not-reading");
    });
  }

  get count(): number {
    return this.#peers.size;
  }

  onSlow(peer: BrokerPeer, isSlow: boolean): void {
    if (isSlow) this.#peers.set(peer, { since: performance.now() });
    else if (this.#peers.delete(peer)) this.#onFree(peer);
  }

  /** Returns whether a subscriber of the channel is slow. */
  isSlowChannel(key: string): boolean {
    if (this.#peers.size === 0) return false;
    if (this.#subscriptions.subscriberCount(key) < this.#peers.size) {
      return this.#subscriptions.some(key, (peer) => peer.isSlow);
    }
    for (const peer of this.#peers.keys()) if (this.#subscriptions.has(peer, key)) return true;
    return false;
  }

  /** Closes the peers that have not read in time, over several ticks when many are due. Must be called regularly. */
  closeStalled(): void {
    this.#check.begin(this.#peers);
  }
}

/** Returns whether the peer's unsent bytes have made no progress for {@link STALL_MS}. */
export function isStalled(peer: BrokerPeer, now: number): boolean {
  const since = peer.stalledSince;
  return since !== undefined && now - since > STALL_MS;
}
