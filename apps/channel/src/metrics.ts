import { type Bus, registerBusMetrics } from "@fanwire/bus";
import { addCounter, addGauge, addLabelledCounter, createRegistry } from "@fanwire/service";
import type { Registry } from "prom-client";
import type { Counters } from "./broker/counters.ts";
import type { ChannelConfig } from "./config.ts";

type Values = Readonly<Record<string, number>>;

/** Gauges, measured at each scrape. */
export type Measures = {
  readonly peers: number;
  readonly channels: number;
  readonly queues: number;
  readonly unsentBytes: number;
  readonly unfinishedBytes: number;
  readonly unconfirmedBytes: number;
  readonly unstoredItems: number;
  readonly unstoredBytes: number;
  readonly waitingPeers: number;
  readonly slowPeers: number;
  readonly bufferedBytes: number;
  readonly waitingFrames: number;
  readonly deliveryBytes: number;
};

/**
 * Registers the metrics of a channel server. Their values are read at each scrape, so the hot path only adds to plain
 * numbers.
 */
export function createChannelMetrics(
  counters: Counters,
  bus: Bus,
  limits: ChannelConfig["limits"],
  measure: () => Measures,
): Registry {
  const registry = createRegistry();
  registerBusMetrics(registry, bus);
  addGauges(registry, oncePerScrape(measure));
  addLimits(registry, limits);
  const counter = (name: string, help: string, value: () => number) =>
    addCounter(registry, { name: `fanwire_channel_${name}`, help, value });
  const labelled = (name: string, help: string, label: string, values: () => Values) =>
    addLabelledCounter(registry, { name: `fanwire_channel_${name}`, help, label, values });

  counter("peers_accepted_total", "Peers accepted.", () => counters.accepted);
  labelled("peers_refused_total", "Peers refused, by reason.", "reason", () => counters.refused);
  labelled("peers_closed_total", "Closed peer connections, by reason.", "reason", () => counters.closed);
  labelled("requests_total", "Requests of peers, by type.", "type", () => counters.requests);
  labelled("ignored_total", "Ignored messages from peers, by reason.", "reason", () => counters.ignored);
  counter("pings_total", "Pings from peers.", () => counters.pings);
  labelled(
    "kept_events_total",
    "Events not sent to NATS and delivered to the server's own peers only, by reason.",
    "reason",
    () => counters.kept,
  );
  counter(
    "received_events_total",
    "Events received from NATS, including the server's own.",
    () => counters.receivedEvents,
  );
  labelled(
    "refused_from_nats_total",
    "Invalid messages received from NATS and dropped, by kind.",
    "kind",
    () => counters.refusedFromNats,
  );
  counter("deliveries_total", "Events and queue items delivered to peers.", () => counters.deliveries);
  counter("delivered_bytes_total", "Bytes delivered to peers, without frame headers.", () => counters.deliveredBytes);
  labelled(
    "bridged_total",
    "Publications forwarded between Workerman peers and the cluster, by direction.",
    "direction",
    () => counters.bridged,
  );
  counter(
    "bridge_losses_total",
    "Publications that were not forwarded between Workerman peers and the cluster.",
    () => counters.bridgeLosses,
  );
  labelled("queue_items_total", "Queue items, by outcome.", "outcome", () => counters.items);
  labelled(
    "pauses_total",
    "Times reading from a peer was paused because its request had to wait, by reason.",
    "reason",
    () => counters.pauses,
  );
  return registry;
}

/** Returns the same measures to all gauges of a scrape, because measuring walks over all peers. */
function oncePerScrape(measure: () => Measures): () => Measures {
  let measures: Measures | undefined;
  return () => {
    if (measures === undefined) {
      measures = measure();
      setImmediate(() => {
        measures = undefined;
      });
    }
    return measures;
  };
}

function addGauges(registry: Registry, measure: () => Measures): void {
  const gauges: [name: string, help: string, value: (measures: Measures) => number][] = [
    ["peers", "Connected peers.", ({ peers }) => peers],
    ["channels", "Channels with subscribers on this server.", ({ channels }) => channels],
    ["queues", "Queues with watchers on this server.", ({ queues }) => queues],
    ["unsent_bytes", "Bytes queued for slow peers.", ({ unsentBytes }) => unsentBytes],
    ["unfinished_bytes", "Bytes of incomplete frames.", ({ unfinishedBytes }) => unfinishedBytes],
    ["unconfirmed_bytes", "Bytes sent to NATS and not confirmed.", ({ unconfirmedBytes }) => unconfirmedBytes],
    ["unstored_items", "Queue items not stored in JetStream yet.", ({ unstoredItems }) => unstoredItems],
    ["unstored_bytes", "Memory of queue items not stored in JetStream yet.", ({ unstoredBytes }) => unstoredBytes],
    ["waiting_peers", "Peers with waiting requests.", ({ waitingPeers }) => waitingPeers],
    ["slow_peers", "Slow peers for which publishers wait.", ({ slowPeers }) => slowPeers],
    [
      "buffered_bytes",
      "Memory of all peers' buffers: incomplete frames, waiting requests, unsent bytes. Shared buffers count once.",
      ({ bufferedBytes }) => bufferedBytes,
    ],
    [
      "delivery_bytes",
      "Bytes received from NATS and not delivered to peers yet.",
      ({ deliveryBytes }) => deliveryBytes,
    ],
    ["waiting_frames", "Peers whose large frame waits for memory.", ({ waitingFrames }) => waitingFrames],
  ];
  for (const [name, help, value] of gauges) {
    addGauge(registry, { name: `fanwire_channel_${name}`, help, value: () => value(measure()) });
  }
}

/** Adds the limits of gauges, so that an alert can compare both. */
function addLimits(registry: Registry, limits: ChannelConfig["limits"]): void {
  const gauges: [name: string, help: string, limit: number][] = [
    ["peers_limit", "Maximum connected peers.", limits.peers],
    ["buffered_limit_bytes", "Maximum memory of all peers' buffers.", limits.bufferedBytes],
    ["unconfirmed_limit_bytes", "Bytes in flight to NATS above which peers wait.", limits.unconfirmedBytes],
    ["unstored_limit_bytes", "Memory of unstored queue items above which peers wait.", limits.unstoredBytes],
  ];
  for (const [name, help, limit] of gauges) {
    addGauge(registry, { name: `fanwire_channel_${name}`, help, value: () => limit });
  }
}
