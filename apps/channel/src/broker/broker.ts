import { randomUUID } from "node:crypto";
import type { Bus } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Pace } from "../data/pace.ts";
import type { ClassRule } from "../php/classes.ts";
import { Bridge } from "./bridge.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import type { Counters } from "./counters.ts";
import { Deliveries } from "./deliveries.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Events } from "./events.ts";
import { FlowControl } from "./flow-control.ts";
import { LocalQueues } from "./local-queues.ts";
import { PendingItems } from "./pending-items.ts";
import { PublishWindow } from "./publish-window.ts";
import { Queues } from "./queues.ts";
import { SlowPeers } from "./slow-peers.ts";
import { Subscriptions } from "./subscriptions.ts";

type BrokerParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly counters: Counters;
  readonly log: Log;
  readonly config: {
    /** Names of the events that address everyone. */
    readonly broadcastEvents: readonly string[];
    readonly allowsClass: ClassRule;
    readonly limits: {
      readonly frameBytes: number;
      readonly subscriptions: number;
      readonly unsentBytes: number;
      readonly unconfirmedBytes: number;
      readonly unstoredBytes: number;
    };
  };
  readonly budget: { readonly isOutboundHigh: boolean };
  /** Limits how long closing peers takes in a tick. */
  readonly closePace: Pace;
  /** Returns whether peers of an earlier tick are not flushed yet. */
  isFlushBehind(): boolean;
  /** Called when requests that had to wait may be carried out. */
  onFree(): void;
};

/**
 * Divisor of a peer's maximum unsent bytes. The quotient bounds the bytes in flight through NATS to our own
 * subscribers. Publishers wait at half of the maximum. If NATS hangs, twice the quotient may be in flight, and the sum
 * stays below the maximum.
 */
const IN_FLIGHT_DIVISOR = 8;

/** Creates the parts that carry out the requests of peers, between the peers and NATS. */
export function createBroker(parts: BrokerParts) {
  const { bus, subjects, counters, log, config, budget, closePace, isFlushBehind, onFree } = parts;
  const { limits, allowsClass, broadcastEvents } = config;
  const subscriptions = new Subscriptions<BrokerPeer>();
  const localQueues = new LocalQueues<BrokerPeer>();
  const deliveries = new Deliveries(isFlushBehind, onFree);
  const slowPeers = new SlowPeers(subscriptions, closePace, (peer) => {
    onFree();
    if (!peer.isClosed) queues.onCaughtUp(peer);
  });
  const publishWindow = new PublishWindow(bus, limits.unconfirmedBytes, limits.unsentBytes / IN_FLIGHT_DIVISOR, onFree);
  const maxBytes = limits.unstoredBytes;
  const pendingItems = new PendingItems({ serverId: randomUUID(), maxBytes, counters, log, onFree });

  const channels = { bus, publishWindow, subjects, subscriptions, deliveries, counters };
  const bridge = new Bridge({ ...channels, broadcastEvents });
  const onChannel = (key: string, isOpen: boolean) => bridge.onChannel(key, isOpen);
  const events = new Events({ ...channels, allowsClass, onChannel });
  const items = { localQueues, pendingItems, publishWindow, slowPeers, deliveries };
  const queues = new Queues({ ...items, subjects, counters, allowsClass, log });
  // A PHP client subscribes again to all its channels in one frame, so that its names fit into one.
  const maxima = { maxSubscriptions: limits.subscriptions, maxNameBytes: limits.frameBytes };
  const dispatcher = new Dispatcher({ events, queues, bridge, subscriptions, localQueues, ...maxima });
  const maxUnsentBytes = limits.unsentBytes;
  const buffers = { publishWindow, pendingItems, deliveries, budget };
  const flowControl = new FlowControl({ subscriptions, slowPeers, bridge, maxUnsentBytes, ...buffers });

  const measures = () => ({
    channels: subscriptions.channelCount,
    queues: localQueues.queueCount,
    unconfirmedBytes: publishWindow.unconfirmedBytes,
    unstoredItems: pendingItems.itemCount,
    unstoredBytes: pendingItems.bytes,
    slowPeers: slowPeers.count,
    deliveryBytes: deliveries.bytes,
  });
  return { dispatcher, flowControl, queues, pendingItems, deliveries, slowPeers, measures };
}
