import { type Bus, registerBusMetrics } from "@fanwire/bus";
import type { Target } from "@fanwire/protocol";
import { addCounter, addGauge, addLabelledCounter, createRegistry } from "@fanwire/service";
import { Counter, Histogram, type Registry } from "prom-client";
import type { ClusterCounters, PublishOutcomeName } from "./cluster/counters.ts";
import type { AcceptedStatus } from "./cluster/publish-result.ts";
import type { ErrorCode } from "./http/errors.ts";
import { failureCodes } from "./routes/failures.ts";

/** The labels have few values, whatever callers send, because each combination is a time series. */
export type ObservedRequest = {
  /** The route's pattern, never a path. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
};

const COUNTED_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE"]);

/** Limits of the configuration that are metrics, so that an alert can compare a gauge with its limit. */
export type MeasuredLimits = { readonly maxInFlight: number; readonly maxHeldBodyBytes: number };

/** Metrics of the publisher. {@link PublisherMetrics.registry} returns them in Prometheus' text format. */
export class PublisherMetrics {
  readonly registry: Registry = createRegistry();
  /** Requests in flight. */
  inFlight = 0;
  /** Answered requests. */
  requests = 0;
  /** Bytes of request bodies in memory, with the copies of content for further topics. */
  heldBodyBytes = 0;
  readonly #requests: Counter<"route" | "method" | "status">;
  readonly #durations: Histogram<"route" | "method">;

  constructor(bus: Bus, counters: ClusterCounters, limits: MeasuredLimits) {
    const registers = [this.registry];
    registerBusMetrics(this.registry, bus);
    this.#requests = new Counter({
      name: "fanwire_publisher_requests_total",
      help: "HTTP requests, by route pattern, method and status.",
      labelNames: ["route", "method", "status"],
      registers,
    });
    this.#durations = new Histogram({
      name: "fanwire_publisher_request_duration_seconds",
      help: "Time from a request's headers to its response, by route pattern and method.",
      labelNames: ["route", "method"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    registerClusterMetrics(this.registry, counters);
    registerTraceMetrics(this.registry, counters);
    const gauge = (name: string, help: string, value: () => number) => addGauge(this.registry, { name, help, value });
    gauge("fanwire_publisher_traces", "Open traces.", () => counters.openTraces);
    gauge("fanwire_publisher_in_flight", "HTTP requests in flight.", () => this.inFlight);
    gauge("fanwire_publisher_in_flight_limit", "Maximum HTTP requests in flight.", () => limits.maxInFlight);
    gauge(
      "fanwire_publisher_held_body_bytes",
      "Bytes of request bodies in memory, with copies of content for further topics.",
      () => this.heldBodyBytes,
    );
    gauge(
      "fanwire_publisher_held_body_limit_bytes",
      "Maximum bytes of request bodies in memory.",
      () => limits.maxHeldBodyBytes,
    );
  }

  countRequest({ route, method, status, seconds }: ObservedRequest): void {
    const counted = COUNTED_METHODS.has(method) ? method : "other";
    this.requests++;
    this.#requests.inc({ route, method: counted, status });
    this.#durations.observe({ route, method: counted }, seconds);
  }
}

const TARGETS = ["everyone", "topic", "user", "connection"] as const satisfies readonly Target["kind"][];
const ACCEPTED = ["published", "stored", "delivered", "buffered", "forwarded"] as const satisfies AcceptedStatus[];
/** Failures of other requests than publications. */
const { busy: _busy, "too-many-traces": _traces, "topic-limit": _topics, ...publicationFailures } = failureCodes;
const OUTCOMES: ReadonlySet<string> = new Set([...ACCEPTED, ...Object.values(publicationFailures)]);

function registerClusterMetrics(registry: Registry, counters: ClusterCounters): void {
  new Counter({
    name: "fanwire_publisher_publications_total",
    help: "Publications, by kind of target and outcome (a status or an error code).",
    labelNames: ["target", "outcome"],
    registers: [registry],
    collect() {
      this.reset();
      // All exist from the start. Otherwise no alert sees the first failure, because a new series has no increase.
      for (const outcome of OUTCOMES) for (const target of TARGETS) this.inc({ target, outcome }, 0);
      for (const [outcome, targets] of counters.publications) {
        for (const [target, count] of targets) this.inc({ target, outcome: labelOf(outcome) }, count);
      }
    },
  });
  addCounter(registry, {
    name: "fanwire_publisher_content_bytes_total",
    help: "Bytes of content of accepted publications.",
    value: () => counters.contentBytes,
  });
  addLabelledCounter(registry, {
    name: "fanwire_publisher_receipts_total",
    help: "Receipts gathered from all workers, by outcome: complete if all of them answered in time, else incomplete.",
    label: "outcome",
    values: () => ({ complete: counters.completeReceipts, incomplete: counters.incompleteReceipts }),
  });
}

function registerTraceMetrics(registry: Registry, counters: ClusterCounters): void {
  const add = (name: string, help: string, value: () => number) => addCounter(registry, { name, help, value });
  add(
    "fanwire_publisher_trace_events_total",
    "Publications and events that traces have shown.",
    () => counters.tracedEvents,
  );
  add(
    "fanwire_publisher_trace_skipped_total",
    "Publications and events that traces have left out, as far as their number is known.",
    () => counters.untracedEvents,
  );
  add(
    "fanwire_publisher_trace_pauses_total",
    "Seconds in which a trace unsubscribed from publications because they exceeded its bounds.",
    () => counters.tracePauses,
  );
}

const codes: Readonly<Partial<Record<PublishOutcomeName, ErrorCode>>> = failureCodes;

/** Returns a status as it is, and the error code of a failure. */
function labelOf(outcome: PublishOutcomeName): string {
  return codes[outcome] ?? outcome;
}
