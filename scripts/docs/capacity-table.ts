import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { type Capacity, capacityFor, type Load } from "./capacity.ts";

const HELP = `Usage: npm run capacity -- [options]     how many workers and NATS nodes carry a load; alone: the table of docs/scaling.md

  --connections N   --topics N (distinct, with users)   --topics-each N   --publications N (a second)   --audience N (who hears one)`;

/** Rows of the table in docs/scaling.md. */
export const examples: readonly (readonly [string, Load])[] = [
  ["1 million, one feed for all, 5/s", load(1_000_000, 1, 1, 5, 1_000_000)],
  ["1 million, 10,000 rooms, 5,000/s", load(1_000_000, 10_000, 1, 5_000, 100)],
  ["1 million users, 50,000/s to one each", load(1_000_000, 1_000_000, 1, 50_000, 1)],
  ["10 million, one feed for all, 1/s", load(10_000_000, 1, 1, 1, 10_000_000)],
  ["10 million, 100,000 rooms, 20,000/s", load(10_000_000, 100_000, 1, 20_000, 100)],
  ["10 million users, 200,000/s to one each", load(10_000_000, 10_000_000, 1, 200_000, 1)],
];

function load(
  connections: number,
  topics: number,
  topicsEach: number,
  publicationsPerSecond: number,
  audience: number,
): Load {
  return { connections, topics, topicsEach, publicationsPerSecond, audience };
}

const columns: readonly [string, (capacity: Capacity) => string][] = [
  ["deliveries/s", ({ deliveriesPerSecond }) => grouped(deliveriesPerSecond)],
  ["workers", ({ workers, workersFor }) => `${grouped(workers)} (${workersFor})`],
  ["GiB/worker", ({ bytesPerWorker }) => gibibytes(bytesPerWorker)],
  ["subscriptions/worker", ({ subscriptionsPerWorker }) => grouped(subscriptionsPerWorker)],
  ["NATS nodes", ({ natsNodes, natsFor }) => `${natsNodes ?? "split"} (${natsFor})`],
  ["GiB/node for interest", ({ natsBytes }) => gibibytes(natsBytes)],
  ["s to resubscribe", ({ secondsToFollowAgain }) => secondsToFollowAgain.toFixed(1)],
];

/** Returns the table as Markdown. */
export function capacityTable(rows: readonly (readonly [string, Load])[]): string {
  const header = ["", ...columns.map(([title]) => title)];
  const lines = rows.map(([name, of]) => {
    const capacity = capacityFor(of);
    return [name, ...columns.map(([, cell]) => cell(capacity))];
  });
  const rule = ["---", ...columns.map(() => "---:")];
  return [header, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function gibibytes(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}

function askedFor(): readonly (readonly [string, Load])[] | undefined {
  const { values } = parseArgs({
    options: {
      connections: { type: "string" },
      topics: { type: "string", default: "1" },
      "topics-each": { type: "string", default: "1" },
      publications: { type: "string", default: "1" },
      audience: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.connections === undefined) return examples;
  const connections = Number(values.connections);
  const asked = load(
    connections,
    Number(values.topics),
    Number(values["topics-each"]),
    Number(values.publications),
    Number(values.audience ?? connections),
  );
  if (Object.values(asked).some((number) => !(number > 0))) return undefined;
  return [["as asked", asked]];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const rows = askedFor();
  console.log(rows === undefined ? HELP : capacityTable(rows));
}
