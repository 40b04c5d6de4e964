import { type Bus, registerBusMetrics } from "@fanwire/bus";
import type { Publication } from "@fanwire/protocol";
import { createRegistry } from "@fanwire/service";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { PublishResult } from "./cluster/publish-result.ts";
import { refusalCodes } from "./http/errors.ts";

/** Labels have few values, whatever callers send, because each pair is a time series. */
export type ObservedRequest = {
  /** The route's pattern, never a path. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
};

const COUNTED_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE"]);

/** Metrics of the publisher. {@link PublisherMetrics.registry} returns them in Prometheus' text format. */
export class PublisherMetrics {
  readonly registry: Registry = createRegistry();
  /** Requests being answered now. */
  inFlight = 0;
  /** Bytes of request bodies held in memory now. */
  heldBodyBytes = 0;
  readonly #requests: Counter<"route" | "method" | "status">;
  readonly #durations: Histogram<"route" | "method">;
  /** By outcome, then by kind of target. Counted without prom-client, which makes a string of the labels each time. */
  readonly #publications = new Map<string, Map<string, number>>();
  #contentBytes = 0;
  readonly #receipts: Counter<"outcome">;

  constructor(bus: Bus) {
    const registers = [this.registry];
    registerBusMetrics(this.registry, bus);
    this.#requests = new Counter({
      name: "fanwire_publisher_requests_total",
      help: "HTTP requests answered, by route pattern, method and status.",
      labelNames: ["route", "method", "status"],
      registers,
    });
    this.#durations = new Histogram({
      name: "fanwire_publisher_request_duration_seconds",
      help: "Time from a request's headers to its answer, by route pattern and method.",
      labelNames: ["route", "method"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    const publications = this.#publications;
    new Counter({
      name: "fanwire_publisher_publications_total",
      help: "Publications, by kind of target and what became of them: a status or an error code.",
      labelNames: ["target", "outcome"],
      registers,
      collect() {
        this.reset();
        for (const [outcome, targets] of publications) {
          for (const [target, count] of targets) this.inc({ target, outcome }, count);
        }
      },
    });
    const contentBytes = () => this.#contentBytes;
    new Counter({
      name: "fanwire_publisher_content_bytes_total",
      help: "Bytes of content of the publications that NATS or a worker accepted.",
      registers,
      collect() {
        this.reset();
        this.inc(contentBytes());
      },
    });
    this.#receipts = new Counter({
      name: "fanwire_publisher_receipts_total",
      help: "Receipts gathered from all workers, by whether all of them answered in time: complete or incomplete.",
      labelNames: ["outcome"],
      registers,
    });
    this.#gauge("fanwire_publisher_in_flight", "Requests being answered now.", () => this.inFlight);
    this.#gauge(
      "fanwire_publisher_held_body_bytes",
      "Bytes of request bodies held in memory now.",
      () => this.heldBodyBytes,
    );
  }

  /** Read when the metrics are asked for: a number costs a request nothing. */
  #gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }

  countRequest({ route, method, status, seconds }: ObservedRequest): void {
    const counted = COUNTED_METHODS.has(method) ? method : "other";
    this.#requests.inc({ route, method: counted, status });
    this.#durations.observe({ route, method: counted }, seconds);
  }

  countPublication({ target, content }: Publication, result: PublishResult): void {
    const outcome = result.ok ? result.status : refusalCodes[result.reason];
    const targets = this.#publications.get(outcome) ?? new Map<string, number>();
    this.#publications.set(outcome, targets.set(target.kind, (targets.get(target.kind) ?? 0) + 1));
    if (result.ok) this.#contentBytes += content.length;
  }

  countReceipt(isComplete: boolean): void {
    this.#receipts.inc({ outcome: isComplete ? "complete" : "incomplete" });
  }
}
