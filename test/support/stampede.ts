import { expect } from "vitest";
import { metric, type TestPusher } from "./cluster.ts";
import { type TestPublications, topic } from "./durable.ts";
import { connectReaders, type LoadReader } from "./load-reader.ts";
import { until } from "./wait.ts";

const TIMEOUT_MS = 60_000;

type Stampede = {
  readonly history: TestPublications;
  readonly pusher: TestPusher;
  /** Positions of the publications to the topic "busy" that the clients missed. */
  readonly missed: readonly string[];
};

/**
 * Connects clients that resume the topic "busy" at the same time. Resolves when each has its last missed publication.
 */
export async function resumeAtOnce(
  { pusher, missed }: Stampede,
  { since, count }: { readonly since: string; readonly count: number },
): Promise<LoadReader[]> {
  const readers = await connectReaders(`${pusher.url}?topic=busy&since=${since}`, count);
  const last = missed.at(-1) ?? "";
  await until("all clients have recovered", () => readers.every(({ text }) => text().includes(last)), TIMEOUT_MS);
  return readers;
}

/** Checks that each client recovered, and received what it missed and then a new publication, once each. */
export async function expectAllRecovered(
  { history, pusher, missed }: Stampede,
  readers: readonly LoadReader[],
): Promise<void> {
  const live = await history.append(topic("busy"), "live");
  const haveAll = () => readers.every(({ text }) => text().includes(live));
  await until("all clients receive new publications", haveAll, TIMEOUT_MS);

  for (const { messages } of readers) {
    const [welcome, ...publications] = messages();
    expect(welcome).toMatchObject({ type: "welcome", recovered: true });
    expect(publications.map(({ position }) => position)).toEqual([...missed, live]);
  }
  const recovered = await metric(pusher.adminUrl, "fanwire_pusher_resumed_total", { outcome: "recovered" });
  expect(recovered).toBe(readers.length);
}
