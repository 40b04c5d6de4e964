import { addCounter, addGauge } from "@fanwire/service";
import { Gauge, type Registry } from "prom-client";
import type { Bus, BusTraffic } from "./connection/bus.ts";

/** Registers the metrics of the connection. Values are read when the metrics are collected. */
export function registerBusMetrics(registry: Registry, bus: Pick<Bus, "health" | "traffic">): void {
  addGauge(registry, {
    name: "fanwire_nats_up",
    help: "1 while messages travel to NATS and back, else 0.",
    value: () => (bus.health().alive ? 1 : 0),
  });
  new Gauge({
    name: "fanwire_nats_round_trip_seconds",
    help: "Round trip of the last probe through NATS.",
    registers: [registry],
    collect() {
      const health = bus.health();
      if (health.alive) this.set(health.roundTripMs / 1_000);
    },
  });

  const counters: [name: string, help: string, value: (traffic: BusTraffic) => number][] = [
    ["fanwire_nats_disconnects_total", "Lost connections to NATS.", (traffic) => traffic.disconnects],
    ["fanwire_nats_received_messages_total", "Messages received from NATS.", (traffic) => traffic.receivedMessages],
    ["fanwire_nats_received_bytes_total", "Bytes of content received from NATS.", (traffic) => traffic.receivedBytes],
    ["fanwire_nats_sent_messages_total", "Messages sent to NATS.", (traffic) => traffic.sentMessages],
    ["fanwire_nats_sent_bytes_total", "Bytes of content sent to NATS.", (traffic) => traffic.sentBytes],
  ];
  for (const [name, help, value] of counters) {
    addCounter(registry, { name, help, value: () => value(bus.traffic()) });
  }
}
