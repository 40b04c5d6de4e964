import type { Bus, History, StreamDescription } from "@fanwire/bus";
import type { NatsNode, ServiceDescription, Subjects, WorkerDescription } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { describeAllServices, describeAllWorkers } from "./describe-all.ts";
import type { Result } from "./failure.ts";
import type { WorkerRegistry } from "./worker-registry.ts";

/** Workers answer at once whether another one has ended, if they can know. */
const ENDED_WITHIN_MS = 250;

type OverviewParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly registry: WorkerRegistry;
  readonly history: Pick<History, "describe">;
  /** Maximum time to wait until all workers are known, in milliseconds. */
  readonly requestTimeoutMs: number;
  readonly log: Log;
};

type DescribedWorker = Omit<WorkerDescription, "process">;
type CountedNode = Partial<NatsNode> & { readonly name: string; readonly connectedFrom: number };

export type Overview = {
  /** All workers that answered, sorted by id. */
  readonly workers: DescribedWorker[];
  /** Ids of known workers that did not answer, sorted. */
  readonly missing: string[];
  /** Whether all running workers have answered. */
  readonly isComplete: boolean;
  /** All services that answered, sorted by kind and id. */
  readonly services: ServiceDescription[];
  /** Nodes to which the processes above are connected, and those that keep the history, sorted by name. */
  readonly nats: CountedNode[];
  readonly history: StreamDescription | null;
  /** Why `history` is null. */
  readonly historyProblem?: string;
};

/** Describes the processes of the cluster, its NATS nodes and its history. */
export class ClusterOverview {
  readonly #parts: OverviewParts;

  constructor(parts: OverviewParts) {
    this.#parts = parts;
  }

  async describe(): Promise<Result<Overview>> {
    const [described, services, history] = await Promise.all([
      this.#describeWorkers(),
      describeAllServices(this.#parts),
      this.#parts.history.describe(),
    ]);
    if (!described.ok) return described;
    if (!services.ok) return services;
    const { workers, missing, isComplete } = described;
    const stream = history.ok ? history.stream : null;
    return {
      ok: true,
      workers,
      missing,
      isComplete,
      services: services.all.toSorted((one, other) => (sortKey(one) < sortKey(other) ? -1 : 1)),
      nats: natsNodes([...workers, ...services.all], stream),
      history: stream,
      ...(!history.ok && { historyProblem: history.detail }),
    };
  }

  async #describeWorkers(): Promise<Result<Pick<Overview, "workers" | "missing" | "isComplete">>> {
    const { registry, requestTimeoutMs } = this.#parts;
    const described = await describeAllWorkers(this.#parts, { detailed: true });
    if (!described.ok) return described;
    for (const { id, process } of described.all) registry.seen(id, process);
    const ids = new Set(described.all.map(({ id }) => id));
    // Only workers that answer remember others. Without one, waiting would add nothing.
    if (ids.size > 0) await registry.settle(requestTimeoutMs);
    const silent = registry.workers.filter((worker) => !ids.has(worker));
    await registry.findEnded(silent, ENDED_WITHIN_MS);
    const missing = registry.workers.filter((worker) => !ids.has(worker)).sort();
    return {
      ok: true,
      workers: described.all
        // Callers do not need the process, which identifies the machine.
        .map(({ process: _, ...worker }) => worker)
        .sort((one, other) => (one.id < other.id ? -1 : 1)),
      missing,
      isComplete: registry.knowsAll && missing.length === 0,
    };
  }
}

function sortKey({ kind, id }: ServiceDescription): string {
  return `${kind} ${id}`;
}

/** Returns each node once, with the number of described processes that are connected to it. */
export function natsNodes(
  processes: readonly { readonly nats?: NatsNode | undefined }[],
  stream: Pick<StreamDescription, "leader" | "replicas"> | null,
): CountedNode[] {
  const nodes = new Map<string, CountedNode>();
  for (const { nats } of processes) {
    if (nats === undefined) continue;
    nodes.set(nats.name, { ...nats, connectedFrom: (nodes.get(nats.name)?.connectedFrom ?? 0) + 1 });
  }
  const keepers = stream === null ? [] : [stream.leader, ...stream.replicas.map(({ name }) => name)];
  for (const name of keepers) {
    if (name !== undefined && !nodes.has(name)) nodes.set(name, { name, connectedFrom: 0 });
  }
  return [...nodes.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}
