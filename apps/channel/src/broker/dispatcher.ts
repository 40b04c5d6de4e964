import type { Name, Request } from "../wire/client-message.ts";
import type { Bridge } from "./bridge.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import type { PauseReason } from "./counters.ts";
import type { Deliveries } from "./deliveries.ts";
import type { Events } from "./events.ts";
import type { LocalQueues } from "./local-queues.ts";
import type { PendingItems } from "./pending-items.ts";
import type { PublishWindow } from "./publish-window.ts";
import type { Queues } from "./queues.ts";
import type { SlowPeers } from "./slow-peers.ts";
import type { Subscriptions } from "./subscriptions.ts";

type DispatcherParts = {
  readonly events: Events;
  readonly queues: Queues;
  readonly bridge: Bridge;
  readonly subscriptions: Subscriptions<BrokerPeer>;
  readonly localQueues: LocalQueues<BrokerPeer>;
  readonly limits: {
    /** Maximum channels to which one peer subscribes. */
    readonly subscriptions: number;
    /** Maximum unsent bytes of one peer. */
    readonly unsentBytes: number;
  };
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
};

/** Maximum queues that one peer watches. A peer that exceeds it is closed. */
const MAX_WATCHES = 1_000;

/** Share of a peer's maximum unsent bytes. Publishers wait while more bytes from NATS are not delivered yet. */
const RETURNED_SHARE = 1 / 8;

/** Dispatches the requests of peers to events, queues and the bridge. */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  /** Requests already published to everyone. A request with several broadcast names is published to everyone once. */
  readonly #broadcast = new WeakSet<Request>();

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** Returns why no request can be carried out now. */
  congestion(): PauseReason | undefined {
    if (this.#parts.publishWindow.isCongested) return "nats";
    return this.#parts.pendingItems.isCongested ? "unstored-items" : undefined;
  }

  /** Returns why one name of a request cannot be handled now. */
  pauseReason(request: Request, { key }: Name): PauseReason | undefined {
    const { publishWindow, subscriptions, slowPeers, budget, deliveries, limits } = this.#parts;
    // Each name costs two subscriptions in NATS. A hundred thousand at once would delay every message behind them.
    if (request.type === "subscribe" || request.type === "unsubscribe") {
      return publishWindow.isReturnCongested ? "nats" : undefined;
    }
    if (request.type !== "publish" && request.type !== "publishLoop") return undefined;
    if (subscriptions.subscriberCount(key) === 0) return undefined;
    // Events return from NATS to our own subscribers without flow control, so their number must be bounded before they
    // are sent.
    if (publishWindow.isReturnCongested || deliveries.bytes >= limits.unsentBytes * RETURNED_SHARE) return "nats";
    if (slowPeers.isSlowChannel(key)) return "slow-subscriber";
    return budget.isOutboundHigh ? "buffered-bytes" : undefined;
  }

  /** Must be called once for each request, before its names. */
  begin(peer: BrokerPeer, request: Request): void {
    if (request.type === "reserve" && !peer.isClosed) this.#parts.queues.reserve(peer);
  }

  /** Handles one name of the request. Must be called for each name in order. */
  handle(peer: BrokerPeer, request: Request, name: Name): void {
    const { events, queues } = this.#parts;
    switch (request.type) {
      case "publish":
        this.#publish(request, name);
        break;
      case "publishLoop":
        events.publishLoop(name, request.data);
        break;
      case "enqueue":
        queues.enqueue(name, request.data);
        break;
      default:
        // A disconnected peer may still publish. Its subscriptions and watches are pointless.
        if (!peer.isClosed) this.#handleInterest(peer, request.type, name);
    }
  }

  /** Ends the subscriptions and watches of a disconnected peer. */
  onClosed(peer: BrokerPeer): void {
    this.#parts.events.disconnect(peer);
    this.#parts.queues.disconnect(peer);
  }

  #publish(request: Request, name: Name): void {
    const { events, bridge } = this.#parts;
    events.publish(name, request.data);
    if (bridge.isBroadcast(name.key)) {
      if (!this.#broadcast.has(request)) bridge.toEveryone(request.data);
      this.#broadcast.add(request);
    }
    bridge.toConnection(name.key, request.data);
  }

  #handleInterest(peer: BrokerPeer, type: Request["type"], name: Name): void {
    const { events, queues } = this.#parts;
    switch (type) {
      case "subscribe":
        if (this.#maySubscribe(peer, name.key)) events.subscribe(peer, name.key);
        else peer.close("subscription-limit");
        break;
      case "unsubscribe":
        events.unsubscribe(peer, name.key);
        break;
      case "watch":
        if (this.#mayWatch(peer, name.key)) queues.watch(peer, name);
        else peer.close("watch-limit");
        break;
      case "unwatch":
        queues.unwatch(peer, name.key);
        break;
    }
  }

  #maySubscribe(peer: BrokerPeer, key: string): boolean {
    const { subscriptions, limits } = this.#parts;
    return subscriptions.countOf(peer) < limits.subscriptions || subscriptions.has(peer, key);
  }

  #mayWatch(peer: BrokerPeer, key: string): boolean {
    const { localQueues } = this.#parts;
    return localQueues.countOf(peer) < MAX_WATCHES || localQueues.has(peer, key);
  }
}
