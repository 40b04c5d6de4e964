import { expect, test } from "vitest";
import { startPusher } from "../support/cluster.ts";
import { openPublications, topic } from "../support/durable.ts";
import { closeReaders } from "../support/load-reader.ts";
import { startNatsCluster } from "../support/nats-cluster.ts";
import { expectAllRecovered, resumeAtOnce } from "../support/stampede.ts";

const READERS = 5_000;
const MISSED = 40;

test("stampede: five thousand clients resume at the same time on a NATS cluster, all recover, and no worker is ended as stalled", async () => {
  await using cluster = await startNatsCluster();
  await using history = await openPublications(cluster.urls, { replicas: 3 });
  await history.append(topic("first"), "1");
  const env = { PUSHER_HANDSHAKES_PER_SECOND: "0", FANWIRE_HISTORY_REPLICAS: "3" };
  await using pusher = await startPusher({ nats: cluster.urls.join(","), env });
  const since = await history.append(topic("busy"), "before");
  const missed: string[] = [];
  for (let at = 0; at < MISSED; at++) missed.push(await history.append(topic("busy"), String(at)));

  const stampede = { history, pusher, missed };
  const startedAt = performance.now();
  const readers = await resumeAtOnce(stampede, { since, count: READERS });
  console.info({ readers: READERS, recoveredMs: Math.round(performance.now() - startedAt) });

  await expectAllRecovered(stampede, readers);
  const ended = pusher.process.logLines().filter(({ level }) => level === "error" || Number(level) >= 50);
  expect(ended).toEqual([]);
  closeReaders(readers);
});
