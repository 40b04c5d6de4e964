import type { Limits } from "../config.ts";
import type { PauseReason } from "../counters.ts";
import type { BufferBudget } from "../server/buffer-budget.ts";
import type { Deliveries } from "../server/deliveries.ts";
import type { Peer } from "../server/peer.ts";
import type { RequestHandler } from "../server/request-scheduler.ts";
import type { SlowPeers } from "../server/slow-peers.ts";
import type { Name, Request } from "../wire/client-message.ts";
import type { Bridge } from "./bridge.ts";
import type { Events } from "./events.ts";
import type { LocalQueues } from "./local-queues.ts";
import type { ItemStore } from "./pending-items.ts";
import type { Uplink } from "./publish-window.ts";
import type { Queues } from "./queues.ts";
import type { Subscriptions } from "./subscriptions.ts";

type RequestsParts = {
  readonly events: Events;
  readonly queues: Queues;
  readonly bridge: Bridge;
  readonly subscriptions: Subscriptions<Peer>;
  readonly localQueues: LocalQueues<Peer>;
  readonly limits: Limits;
  readonly uplink: Uplink;
  readonly store: ItemStore;
  readonly slowPeers: SlowPeers;
  readonly budget: BufferBudget;
  readonly deliveries: Deliveries;
};

/** Share of a peer's maximum unsent bytes. Publishers wait while more bytes from NATS are not delivered yet. */
const RETURNED_SHARE = 1 / 8;

/** Dispatches the requests of peers to events, queues and the bridge. */
export class Requests implements RequestHandler {
  readonly #parts: RequestsParts;
  /** Requests already published to everyone. A request with several broadcast names is published to everyone once. */
  readonly #broadcast = new WeakSet<Request>();

  constructor(parts: RequestsParts) {
    this.#parts = parts;
  }

  congestion(): PauseReason | undefined {
    if (this.#parts.uplink.isCongested) return "nats";
    return this.#parts.store.isCongested ? "unstored-items" : undefined;
  }

  pauseReason(request: Request, { key }: Name): PauseReason | undefined {
    const { uplink, subscriptions, slowPeers, budget, deliveries, limits } = this.#parts;
    // Each name costs two subscriptions in NATS. A hundred thousand at once would delay every message behind them.
    if (request.type === "subscribe" || request.type === "unsubscribe") {
      return uplink.isReturnCongested ? "nats" : undefined;
    }
    if (request.type !== "publish" && request.type !== "publishLoop") return undefined;
    if (subscriptions.subscriberCount(key) === 0) return undefined;
    // Events return from NATS to our own subscribers without flow control, so their number must be bounded before they are sent.
    if (uplink.isReturnCongested || deliveries.bytes >= limits.unsentBytes * RETURNED_SHARE) return "nats";
    if (slowPeers.isSlowChannel(key)) return "slow-subscriber";
    return budget.isOutboundHigh ? "buffered-bytes" : undefined;
  }

  begin(peer: Peer, request: Request): void {
    if (request.type === "reserve" && !peer.isClosed) this.#parts.queues.reserve(peer);
  }

  handle(peer: Peer, request: Request, name: Name): void {
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

  onClosed(peer: Peer): void {
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

  #handleInterest(peer: Peer, type: Request["type"], name: Name): void {
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

  #maySubscribe(peer: Peer, key: string): boolean {
    const { subscriptions, limits } = this.#parts;
    return subscriptions.countOf(peer) < limits.subscriptions || subscriptions.has(peer, key);
  }

  #mayWatch(peer: Peer, key: string): boolean {
    const { localQueues, limits } = this.#parts;
    return localQueues.countOf(peer) < limits.watches || localQueues.has(peer, key);
  }
}
