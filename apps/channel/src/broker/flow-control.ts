import type { Name, Request } from "../wire/client-message.ts";
import type { Bridge } from "./bridge.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import type { PauseReason } from "./counters.ts";
import { type Deliveries, MAX_WAITING_BYTES } from "./deliveries.ts";
import type { PendingItems } from "./pending-items.ts";
import type { PublishWindow } from "./publish-window.ts";
import type { SlowPeers } from "./slow-peers.ts";
import type { Subscriptions } from "./subscriptions.ts";

type FlowControlParts = {
  readonly subscriptions: Subscriptions<BrokerPeer>;
  readonly publishWindow: PublishWindow;
  readonly pendingItems: PendingItems;
  readonly slowPeers: SlowPeers;
  readonly budget: {
    /**
     * Whether publishers must wait for subscribers to read. After `true`, requests are resumed when the wait is over.
     */
    readonly isOutboundHigh: boolean;
  };
  readonly deliveries: Deliveries;
  readonly bridge: Bridge;
  /** Maximum unsent bytes of one peer. */
  readonly maxUnsentBytes: number;
};

/** Share of a peer's maximum unsent bytes. Publishers wait while more bytes are not delivered yet. */
const MAX_UNDELIVERED_SHARE = 1 / 8;

/** Decides which requests wait: publishers wait for NATS, for storage and for slow subscribers. */
export class FlowControl {
  readonly #parts: FlowControlParts;
  readonly #maxUndeliveredBytes: number;

  constructor(parts: FlowControlParts) {
    this.#parts = parts;
    this.#maxUndeliveredBytes = Math.min(parts.maxUnsentBytes * MAX_UNDELIVERED_SHARE, MAX_WAITING_BYTES);
  }

  /** Returns why no request can be carried out now. */
  congestion(): PauseReason | undefined {
    if (this.#parts.publishWindow.isCongested) return "nats";
    return this.#parts.pendingItems.isCongested ? "unstored-items" : undefined;
  }

  /** Returns why one name of a request cannot be handled now. */
  pauseReason(request: Request, { key }: Name): PauseReason | undefined {
    const { publishWindow, subscriptions, slowPeers, budget, deliveries, bridge } = this.#parts;
    if (request.type === "enqueue" || request.type === "reserve") return undefined;
    // A channel costs two subscriptions in NATS, and a queue its consumer. A hundred thousand together would delay every
    // message behind them.
    if (request.type !== "publish" && request.type !== "publishLoop") {
      return publishWindow.isReturnCongested ? "nats" : undefined;
    }
    const isUndeliveredHigh = deliveries.bytes >= this.#maxUndeliveredBytes;
    // The bridge reads the whole data. Beyond their limit, deliveries would be made in this tick.
    if (isUndeliveredHigh && request.type === "publish" && bridge.isForCluster(key)) return "nats";
    if (subscriptions.subscriberCount(key) === 0) return undefined;
    // Events return from NATS to our own subscribers without flow control, so their number must be bounded before they
    // are sent.
    if (isUndeliveredHigh || publishWindow.isReturnCongested) return "nats";
    if (slowPeers.isSlowChannel(key)) return "slow-subscriber";
    return budget.isOutboundHigh ? "buffered-bytes" : undefined;
  }
}
