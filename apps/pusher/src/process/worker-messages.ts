import type { Readiness } from "@fanwire/service";
import type { MetricObjectWithValues, MetricValue } from "prom-client";

/** The result of `Registry.getMetricsAsJSON()`. */
export type MetricSnapshot = MetricObjectWithValues<MetricValue<string>>[];

/** Messages from the supervisor to a worker process over its IPC channel. */
export type ToWorker =
  | { readonly type: "start"; readonly slot: number; readonly port: number }
  | { readonly type: "report-metrics"; readonly requestId: number }
  | { readonly type: "stop" };

/** Messages from a worker process to its supervisor. */
export type FromWorker =
  | { readonly type: "listening" }
  | { readonly type: "heartbeat"; readonly readiness: Readiness }
  | { readonly type: "metrics"; readonly requestId: number; readonly metrics: MetricSnapshot };

export const HEARTBEAT_MS = 500;
