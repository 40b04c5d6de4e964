import { signal } from "@preact/signals";
import type { ApiClient, ApiFailure } from "../api/client.ts";
import type { Cluster } from "../api/types.ts";
import { poll } from "./polling.ts";
import { type Sample, Samples, sampleOf, total } from "./samples.ts";

const INTERVAL_MS = 2_000;
/** A worker counts the unsent bytes of each of its connections, so a large cluster is asked less often. */
const LARGE_INTERVAL_MS = 5_000;
const LARGE_CLUSTER = 20_000;

/** Asks for the cluster while the page is visible, and keeps the figures of the last minutes for the charts. */
export class ClusterRecorder {
  readonly #api: ApiClient;
  readonly #samples = new Samples();
  #stop: (() => void) | undefined;
  readonly cluster = signal<Cluster | undefined>(undefined);
  /** Failure of the last request. `cluster` is then of an earlier one. */
  readonly failure = signal<ApiFailure | undefined>(undefined);
  readonly answeredAt = signal<Date | undefined>(undefined);
  readonly samples = signal<readonly Sample[]>([]);

  constructor(api: ApiClient) {
    this.#api = api;
  }

  /** Continues until `stop`, also while other tabs are shown, so that the charts have no gaps. */
  start(): void {
    this.#stop ??= poll(
      (stopping) => this.#ask(stopping),
      () => this.#intervalMs(),
    );
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.cluster.value = undefined;
    this.failure.value = undefined;
  }

  #intervalMs(): number {
    const connections = total(this.cluster.peek()?.workers, (worker) => worker.connections) ?? 0;
    return connections > LARGE_CLUSTER ? LARGE_INTERVAL_MS : INTERVAL_MS;
  }

  async #ask(stopping: AbortSignal): Promise<void> {
    const answer = await this.#api.get<Cluster>("v1/cluster", {}, stopping);
    if (stopping.aborted) return;
    const now = new Date();
    if (answer.ok) {
      this.cluster.value = answer.value;
      this.answeredAt.value = now;
      this.failure.value = undefined;
    } else this.failure.value = answer;
    this.samples.value = this.#samples.add(sampleOf(now.getTime(), answer.ok ? answer.value : undefined));
  }
}
