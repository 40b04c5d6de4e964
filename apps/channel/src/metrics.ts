import { type Bus, registerBusMetrics } from "@fanwire/bus";
import { createRegistry } from "@fanwire/service";
import { Counter, Gauge, type Registry } from "prom-client";
import type { Traffic } from "./traffic.ts";

type Values = Readonly<Record<string, number>>;

/** What is measured when the metrics are asked for. */
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

/** Shows what a channel server counted; everything is read when the metrics are asked for, nothing on the hot path. */
export function createChannelMetrics(traffic: Traffic, bus: Bus, measure: () => Measures): Registry {
  const registry = createRegistry();
  registerBusMetrics(registry, bus);
  addGauges(registry, measure);
  const counter = (name: string, help: string, value: () => number) =>
    addCounter(registry, { name, help, labels: [], values: () => ({ "": value() }) });
  const labelled = (name: string, help: string, label: string, values: () => Values) =>
    addCounter(registry, { name, help, labels: [label], values });

  counter("peers_accepted_total", "Peers accepted.", () => traffic.accepted);
  labelled("peers_refused_total", "Peers refused, by reason.", "reason", () => traffic.refused);
  labelled("peers_closed_total", "Connections of peers that are over, by reason.", "reason", () => traffic.closed);
  labelled("requests_total", "Requests of peers, by type.", "type", () => traffic.requests);
  labelled("ignored_total", "Messages of peers that mean nothing, by reason.", "reason", () => traffic.ignored);
  counter("pings_total", "Pings from peers.", () => traffic.pings);
  labelled(
    "kept_events_total",
    "Events that could not go to NATS, delivered to the server's own peers alone.",
    "reason",
    () => traffic.kept,
  );
  counter("received_events_total", "Events received from NATS, own ones included.", () => traffic.receivedEvents);
  labelled(
    "refused_from_nats_total",
    "What came from NATS and no peer may be sent, by kind.",
    "kind",
    () => traffic.refusedFromNats,
  );
  counter("deliveries_total", "Events and queue items handed to peers.", () => traffic.deliveries);
  counter(
    "delivered_bytes_total",
    "Bytes of what was handed to peers, without frame headers.",
    () => traffic.deliveredBytes,
  );
  labelled(
    "bridged_total",
    "Publications carried between Workerman peers and the cluster, by direction.",
    "direction",
    () => traffic.bridged,
  );
  counter("bridge_losses_total", "Publications of peers that could not go to the cluster.", () => traffic.bridgeLosses);
  labelled("queue_items_total", "Queue items, by what became of them.", "outcome", () => traffic.items);
  labelled(
    "pauses_total",
    "Times a peer was not read from because what it sent could not be handed on, by reason.",
    "reason",
    () => traffic.pauses,
  );
  return registry;
}

function addGauges(registry: Registry, measure: () => Measures): void {
  const gauges: [name: string, help: string, value: (measures: Measures) => number][] = [
    ["peers", "Connected peers.", ({ peers }) => peers],
    ["channels", "Channels with subscribers here.", ({ channels }) => channels],
    ["queues", "Queues watched here.", ({ queues }) => queues],
    ["unsent_bytes", "Bytes kept for peers that read slowly.", ({ unsentBytes }) => unsentBytes],
    ["unfinished_bytes", "Bytes of frames that have not come whole.", ({ unfinishedBytes }) => unfinishedBytes],
    ["unconfirmed_bytes", "Bytes sent to NATS and not confirmed.", ({ unconfirmedBytes }) => unconfirmedBytes],
    ["unstored_items", "Queue items that JetStream does not have yet.", ({ unstoredItems }) => unstoredItems],
    ["unstored_bytes", "Memory of queue items that JetStream does not have yet.", ({ unstoredBytes }) => unstoredBytes],
    ["waiting_peers", "Peers of which something has to wait.", ({ waitingPeers }) => waitingPeers],
    ["slow_peers", "Peers that those who publish to them wait for.", ({ slowPeers }) => slowPeers],
    [
      "buffered_bytes",
      "Memory of all peers' buffers: unfinished frames, waiting requests, unsent bytes, each shared one once.",
      ({ bufferedBytes }) => bufferedBytes,
    ],
    ["delivery_bytes", "Bytes from NATS that are not handed to peers yet.", ({ deliveryBytes }) => deliveryBytes],
    ["waiting_frames", "Peers whose large frame waits for room.", ({ waitingFrames }) => waitingFrames],
  ];
  for (const [name, help, value] of gauges) {
    new Gauge({
      name: `fanwire_channel_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value(measure()));
      },
    });
  }
}

function addCounter(
  registry: Registry,
  options: { readonly name: string; readonly help: string; readonly labels: readonly string[]; values(): Values },
): void {
  const { name, help, labels, values } = options;
  new Counter({
    name: `fanwire_channel_${name}`,
    help,
    labelNames: [...labels],
    registers: [registry],
    collect() {
      this.reset();
      const [label] = labels;
      for (const [labelValue, count] of Object.entries(values())) {
        this.inc(label === undefined ? {} : { [label]: labelValue }, count);
      }
    },
  });
}
