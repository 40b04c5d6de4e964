import { type Bus, registerBusMetrics } from "@fanwire/bus";
import { addCounter, addGauge, addLabelledCounter, createRegistry } from "@fanwire/service";
import { Counter, type Registry } from "prom-client";
import type { Counters } from "./counters.ts";
import type { Leader } from "./leader/leader.ts";

/** Registers the metrics of a webhook sender. Their values are read at each scrape. */
export function createWebhooksMetrics(counters: Counters, bus: Bus, leader: () => Leader | undefined): Registry {
  const registry = createRegistry();
  registerBusMetrics(registry, bus);
  const gauge = (name: string, help: string, value: () => number) =>
    addGauge(registry, { name: `fanwire_webhooks_${name}`, help, value });
  gauge("leader", "1 while this process announces and delivers events, else 0.", () => (leader() ? 1 : 0));
  gauge("workers", "Pusher workers that send reports to this leader.", () => leader()?.workers ?? 0);
  gauge("unstored_events", "Events that wait to be stored in JetStream.", () => leader()?.unstoredEvents ?? 0);
  gauge("waiting_events", "Events that wait for delivery, for all endpoints together.", () =>
    sum(leader(), ({ waiting }) => waiting),
  );
  gauge("waiting_bytes", "Bytes of the events that wait for delivery.", () =>
    sum(leader(), ({ waitingBytes }) => waitingBytes),
  );
  gauge("oldest_waiting_seconds", "Age of the oldest event that waits for delivery; 0: none waits.", () =>
    Math.max(0, ...(leader()?.senders.all ?? []).map(({ oldestAt }) => (oldestAt ? Date.now() - oldestAt : 0) / 1_000)),
  );
  const counter = (name: string, help: string, value: () => number) =>
    addCounter(registry, { name: `fanwire_webhooks_${name}`, help, value });
  addLabelledCounter(registry, {
    name: "fanwire_webhooks_events_total",
    help: "Events announced, by name.",
    label: "name",
    values: () => counters.events,
  });
  addDeliveries(registry, counters);
  counter("snapshots_total", "Snapshots of workers that were requested.", () => counters.snapshots);
  counter(
    "events_dropped_total",
    "Events of workers dropped because too many waited to be stored.",
    () => counters.droppedEvents,
  );
  counter(
    "events_lost_total",
    "Events that JetStream dropped before they were delivered to an endpoint.",
    () => counters.lostEvents,
  );
  return registry;
}

function addDeliveries(registry: Registry, { deliveries }: Counters): void {
  new Counter({
    name: "fanwire_webhooks_deliveries_total",
    help: "Events delivered and events given up (dead), and refused POSTs (failed), by endpoint and outcome.",
    labelNames: ["endpoint", "outcome"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [endpoint, counts] of deliveries)
        for (const [outcome, value] of Object.entries(counts)) this.inc({ endpoint, outcome }, value);
    },
  });
}

function sum(leader: Leader | undefined, measure: (sender: Leader["senders"]["all"][number]) => number): number {
  return (leader?.senders.all ?? []).reduce((total, sender) => total + measure(sender), 0);
}
