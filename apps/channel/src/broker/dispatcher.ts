import type { Name, Request } from "../wire/client-message.ts";
import type { Bridge } from "./bridge.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import type { Events } from "./events.ts";
import type { LocalQueues } from "./local-queues.ts";
import type { Queues } from "./queues.ts";
import type { Subscriptions } from "./subscriptions.ts";

type DispatcherParts = {
  readonly events: Events;
  readonly queues: Queues;
  readonly bridge: Bridge;
  readonly subscriptions: Subscriptions<BrokerPeer>;
  readonly localQueues: LocalQueues<BrokerPeer>;
  /** Maximum channels to which one peer subscribes. */
  readonly maxSubscriptions: number;
  /** Maximum bytes of the names of these channels, and of the queues that one peer watches. */
  readonly maxNameBytes: number;
};

/** Maximum queues that one peer watches. A peer that exceeds it is closed. */
const MAX_WATCHES = 1_000;

/** Dispatches the requests of peers to events, queues and the bridge. */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  /** Requests already published to everyone. A request with several broadcast names is published to everyone once. */
  readonly #broadcast = new WeakSet<Request>();

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** Handles a request without names. Must be called once for each request, before its names. */
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
    const { subscriptions, maxSubscriptions, maxNameBytes } = this.#parts;
    if (subscriptions.has(peer, key)) return true;
    const nameBytes = subscriptions.nameBytesOf(peer) + key.length;
    return subscriptions.countOf(peer) < maxSubscriptions && nameBytes <= maxNameBytes;
  }

  #mayWatch(peer: BrokerPeer, key: string): boolean {
    const { localQueues, maxNameBytes } = this.#parts;
    if (localQueues.has(peer, key)) return true;
    const nameBytes = localQueues.nameBytesOf(peer) + key.length;
    return localQueues.countOf(peer) < MAX_WATCHES && nameBytes <= maxNameBytes;
  }
}
