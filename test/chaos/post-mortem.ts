import type { ChaosCluster } from "./cluster.ts";
import type { Lack } from "./ledger.ts";
import { brief } from "./report.ts";

/** Maximum number of publications to look up in the history. */
const LOOKED_UP = 200;
/** Newest log lines of each pusher. A gate shows only the end of its output. */
const LINES = 12;

/** Reports which reader lacks which publication, whether NATS still has it, and the last log lines of the pushers. */
export async function writePostMortem(cluster: ChaosCluster, lacks: readonly Lack[]): Promise<string[]> {
  const victims = [...new Set(lacks.map(({ reader }) => reader))].map((reader) => {
    const own = lacks.filter((lack) => lack.reader === reader);
    return `${reader} lacks ${own.length}: ${rangesOf(sequencesOf(own))}`;
  });
  const verdict = await whatTheHistoryHolds(cluster, lacks).catch((error) => `the history cannot be read: ${error}`);
  const said = cluster.pushers.flatMap(({ name, service }) =>
    service.process
      .logLines()
      .filter(({ msg }) => msg !== "NATS status")
      .slice(-LINES)
      .map(({ level, time, service: _, msg, ...facts }) => `${name}, ${time} ${msg} ${JSON.stringify(facts)}`),
  );
  return [verdict, ...brief(victims), ...said];
}

async function whatTheHistoryHolds({ history: { history } }: ChaosCluster, lacks: readonly Lack[]): Promise<string> {
  const numbers = new Map(lacks.map(({ sequence = 0, number }) => [sequence, number]));
  const wrong: string[] = [];
  for (const [sequence, number] of [...numbers].slice(0, LOOKED_UP)) {
    const found = await history.find(sequence);
    if (!found.ok) throw new Error(`${found.reason}: ${found.detail}`);
    const content = found.publication && Buffer.from(found.publication.content).toString();
    if (content !== String(number)) wrong.push(`${sequence} (${content ?? "nothing"} instead of ${number})`);
  }
  const count = Math.min(numbers.size, LOOKED_UP);
  return `of ${count} that are missing the history holds ${count - wrong.length}${wrong.length > 0 ? `; not ${wrong.join(", ")}` : ""}`;
}

const sequencesOf = (lacks: readonly Lack[]) => lacks.map(({ sequence = 0 }) => sequence).sort((a, b) => a - b);

/** Joins numbers that are no further apart than those between which others were delivered. */
function rangesOf(sequences: readonly number[]): string {
  const ranges: [from: number, to: number][] = [];
  for (const sequence of sequences) {
    const last = ranges.at(-1);
    if (last !== undefined && sequence - last[1] <= 10) last[1] = sequence;
    else ranges.push([sequence, sequence]);
  }
  return ranges.map(([from, to]) => `${from} to ${to}`).join(", ");
}
