import { expect, test } from "vitest";
import { metric, startPusher } from "../support/cluster.ts";
import { openPublications, topic } from "../support/durable.ts";
import { closeReaders, connectReaders } from "../support/load-reader.ts";
import { startNatsCluster } from "../support/nats-cluster.ts";
import { until } from "../support/wait.ts";

const READERS = 5_000;
const MISSED = 40;

test("five thousand clients resume at once on a NATS cluster, all recover, and no worker is ended as stalled", async () => {
  await using cluster = await startNatsCluster();
  await using history = await openPublications(cluster.urls, { replicas: 3 });
  await history.append(topic("first"), "1");
  const env = { PUSHER_HANDSHAKES_PER_SECOND: "0", FANWIRE_HISTORY_REPLICAS: "3" };
  await using pusher = await startPusher({ nats: cluster.urls.join(","), env });
  const since = await history.append(topic("busy"), "before");
  const missed: string[] = [];
  for (let at = 0; at < MISSED; at++) missed.push(await history.append(topic("busy"), String(at)));

  const startedAt = performance.now();
  const readers = await connectReaders(`${pusher.url}?topic=busy&since=${since}`, READERS);
  const last = missed.at(-1) ?? "";
  await until("all clients have recovered", () => readers.every(({ text }) => text().includes(last)), 60_000);
  console.info({ readers: READERS, recoveredMs: Math.round(performance.now() - startedAt) });
  const live = await history.append(topic("busy"), "live");
  await until("all clients receive new publications", () => readers.every(({ text }) => text().includes(live)), 60_000);

  for (const { messages } of readers) {
    const [welcome, ...publications] = messages();
    expect(welcome).toMatchObject({ type: "welcome", recovered: true });
    expect(publications.map(({ position }) => position)).toEqual([...missed, live]);
  }
  expect(await metric(pusher.adminUrl, "fanwire_pusher_resumed_total", { outcome: "recovered" })).toBe(READERS);
  const ended = pusher.process.logLines().filter(({ level }) => level === "error" || Number(level) >= 50);
  expect(ended).toEqual([]);
  closeReaders(readers);
});
