import { metricIn, metricsText, type TestPublisher, type TestPusher } from "../support/cluster.ts";
import type { Point } from "./growth.ts";

export type Quantity = {
  readonly name: string;
  readonly unit: string;
  /** A gain below this is never called growth. */
  readonly least: number;
};

export const quantities = {
  memory: { name: "Resident memory", unit: "MB", least: 4 },
  heap: { name: "Heap in use", unit: "MB", least: 2 },
  files: { name: "Open files", unit: "", least: 10 },
  resources: { name: "Active resources", unit: "", least: 10 },
  subscriptions: { name: "NATS subscriptions", unit: "", least: 20 },
  lag: { name: "Event-loop lag, p99", unit: "ms", least: 5 },
  connections: { name: "Connections", unit: "", least: 20 },
} as const satisfies Record<string, Quantity>;

export type QuantityName = keyof typeof quantities;

/** One quantity of one process during the run. */
export type Series = { readonly quantity: QuantityName; readonly part: string; readonly points: Point[] };

const MEGABYTE = 1_000_000;

/** Records the resources of all processes, one sample for each call. */
export class Sampler {
  readonly series: Series[] = [];
  readonly #pusher: TestPusher;
  readonly #publisher: TestPublisher;
  readonly #natsMonitor: string;
  readonly #startedAt = performance.now();

  constructor(parts: { readonly pusher: TestPusher; readonly publisher: TestPublisher; readonly natsMonitor: string }) {
    this.#pusher = parts.pusher;
    this.#publisher = parts.publisher;
    this.#natsMonitor = parts.natsMonitor;
  }

  async sample(): Promise<void> {
    const [pusher, publisher, nats] = await Promise.all([
      metricsText(this.#pusher.adminUrl),
      metricsText(this.#publisher.adminUrl),
      this.#describeNats(),
    ]);
    for (const slot of ["1", "2"]) {
      this.#recordProcess(`worker ${slot}`, pusher, { slot });
      this.#record("connections", `worker ${slot}`, metricIn(pusher, "fanwire_pusher_connections", { slot }));
    }
    this.#recordProcess("supervisor", pusher, { slot: "supervisor" });
    this.#recordProcess("publisher", publisher, {});
    this.#record("memory", "nats-server", nats.mem / MEGABYTE);
    this.#record("subscriptions", "nats-server", nats.subscriptions);
    this.#record("connections", "nats-server", nats.connections);
  }

  #recordProcess(part: string, text: string, labels: Record<string, string>): void {
    const read = (name: string) => metricIn(text, name, labels);
    this.#record("memory", part, read("process_resident_memory_bytes") / MEGABYTE);
    this.#record("heap", part, read("nodejs_heap_size_used_bytes") / MEGABYTE);
    this.#record("files", part, read("process_open_fds"));
    this.#record("resources", part, read("nodejs_active_resources_total"));
    this.#record("lag", part, read("nodejs_eventloop_lag_p99_seconds") * 1_000);
  }

  #record(quantity: QuantityName, part: string, value: number): void {
    let series = this.series.find((each) => each.quantity === quantity && each.part === part);
    if (series === undefined) {
      series = { quantity, part, points: [] };
      this.series.push(series);
    }
    // A process that is stopping may not answer in time. It has no sample then.
    if (Number.isFinite(value)) series.points.push({ seconds: (performance.now() - this.#startedAt) / 1_000, value });
  }

  async #describeNats(): Promise<{ mem: number; connections: number; subscriptions: number }> {
    const response = await fetch(`${this.#natsMonitor}/varz`);
    return (await response.json()) as { mem: number; connections: number; subscriptions: number }; // as its manual has it
  }
}
