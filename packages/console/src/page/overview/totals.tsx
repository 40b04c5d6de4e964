import type { Cluster, Worker } from "../api/types.ts";
import { lagOf, largest, total } from "../store/samples.ts";
import { bytes, count, milliseconds, rate, UNKNOWN } from "../ui/format.ts";

type Figure = readonly [name: string, value: string, note?: string];

/** The figures of the whole cluster. While workers are missing, sums are lower bounds. */
export function Totals({ cluster }: { readonly cluster: Cluster }) {
  return (
    <dl class="totals">
      {figuresOf(cluster).map(([name, value, note]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <span class={value === UNKNOWN ? "unknown" : undefined}>{value}</span>
            {note !== undefined && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function figuresOf({ workers, missing = [], complete }: Cluster): Figure[] {
  const isComplete = missing.length === 0 && complete !== false;
  const sum = (read: (worker: Worker) => number | undefined, format: (value: number | null) => string) => {
    const value = total(workers, read);
    return isComplete || value === null ? format(value) : `≥ ${format(value)}`;
  };
  /** A user or topic of several workers counts on each of them. */
  const distinct = (read: (worker: Worker) => number | undefined): [string, string?] => {
    const value = count(total(workers, read));
    if (value === UNKNOWN || (workers.length <= 1 && isComplete)) return [value];
    return [value, "sum of workers"];
  };
  const known = `${isComplete || missing.length > 0 ? "" : "≥ "}${count(workers.length)}`;
  return [
    ["Workers", missing.length === 0 ? known : `${known} + ${count(missing.length)} missing`],
    ["Connections", sum((worker) => worker.connections, count)],
    ["Users", ...distinct((worker) => worker.users)],
    ["Topics", ...distinct((worker) => worker.topics)],
    ["Publications/s", sum((worker) => worker.rates.publicationsPerSecond, rate)],
    ["Deliveries/s", sum((worker) => worker.rates.deliveriesPerSecond, rate)],
    ["Bytes/s", sum((worker) => worker.rates.bytesPerSecond, bytes)],
    ["Accepted/s", sum((worker) => worker.rates.acceptedPerSecond, rate)],
    ["Memory", sum((worker) => worker.memory?.residentBytes, bytes), "of workers"],
    ["Event-loop delay", milliseconds(largest(workers, (worker) => worker.eventLoopDelayMs)), "longest"],
    ["Unsent", sum((worker) => worker.unsentBytes, bytes)],
    ["History lag", milliseconds(largest(workers, lagOf)), "longest"],
  ];
}
