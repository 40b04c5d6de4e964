import { type Bus, registerBusMetrics } from "@fanwire/bus";
import { createRegistry } from "@fanwire/service";
import { Counter, Gauge, type Registry } from "prom-client";
import type { Counters } from "./counters.ts";
import type { Leader } from "./leader/leader.ts";

/** Registers the metrics of a webhook sender. Their values are read at each scrape. */
export function createWebhooksMetrics(counters: Counters, bus: Bus, leader: () => Leader | undefined): Registry {
  const registry = createRegistry();
  registerBusMetrics(registry, bus);
  const gauge = (name: string, help: string, value: () => number) => addGauge(registry, name, help, value);
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
  const counter = (name: string, help: string, labels: string[], values: () => Rows) =>
    addCounter(registry, { name, help, labels, values });
  counter("events_total", "Events announced, by name.", ["name"], () =>
    Object.entries(counters.events).map(([name, value]) => ({ labels: { name }, value })),
  );
  counter("deliveries_total", DELIVERIES_HELP, ["endpoint", "outcome"], () => deliveryRows(counters));
  counter("snapshots_total", "Snapshots of workers that were requested.", [], () => one(counters.snapshots));
  counter("events_dropped_total", "Events of workers dropped because too many waited to be stored.", [], () =>
    one(counters.droppedEvents),
  );
  counter("events_lost_total", "Events that JetStream dropped before they were delivered to an endpoint.", [], () =>
    one(counters.lostEvents),
  );
  return registry;
}

type Row = { readonly labels: Readonly<Record<string, string>>; readonly value: number };
type Rows = readonly Row[];

const DELIVERIES_HELP =
  "Events delivered and events given up (dead), and refused POSTs (failed), by endpoint and outcome.";

const one = (value: number): Rows => [{ labels: {}, value }];

function deliveryRows({ deliveries }: Counters): Rows {
  return [...deliveries].flatMap(([endpoint, counts]) =>
    Object.entries(counts).map(([outcome, value]) => ({ labels: { endpoint, outcome }, value })),
  );
}

function sum(leader: Leader | undefined, measure: (sender: Leader["senders"]["all"][number]) => number): number {
  return (leader?.senders.all ?? []).reduce((total, sender) => total + measure(sender), 0);
}

function addGauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name: `fanwire_webhooks_${name}`,
    help,
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}

function addCounter(
  registry: Registry,
  options: { readonly name: string; readonly help: string; readonly labels: string[]; values(): Rows },
): void {
  const { name, help, labels, values } = options;
  new Counter({
    name: `fanwire_webhooks_${name}`,
    help,
    labelNames: labels,
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels: own, value } of values()) this.inc(own, value);
    },
  });
}
