import { expect, test } from "vitest";
import { topic } from "../support/durable.ts";
import { closeReaders } from "../support/load-reader.ts";
import { expectAllRecovered, resumeAtOnce } from "../support/stampede.ts";
import { useCluster } from "../support/use-cluster.ts";

const READERS = 3_000;
const MISSED = 40;

const { history, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1", PUSHER_HANDSHAKES_PER_SECOND: "0" } });

test("stampede: three thousand clients that resume at the same time recover with a few reads of the history", async () => {
  const since = await history.append(topic("busy"), "before");
  const missed = await Promise.all(
    Array.from({ length: MISSED }, (_, at) => history.append(topic("busy"), String(at))),
  );
  let requests = 0;
  history.bus.subscribe("$JS.API.>", () => requests++);
  await history.bus.confirm();

  const stampede = { history, pusher, missed };
  const readers = await resumeAtOnce(stampede, { since, count: READERS });
  const spent = requests;

  await expectAllRecovered(stampede, readers);
  // A worker needs a few reads for each tick in which readers resume, however many they are.
  expect(spent).toBeLessThan(READERS / 10);
  closeReaders(readers);
});
