import { expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { closeAll, type Returned, returnAll } from "../support/load-reader.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const READERS = 3_000;
const MISSED = 40;

const { history: log, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1", PUSHER_HANDSHAKES_PER_SECOND: "0" } });

test("three thousand clients that resume at once recover with a few reads of the history", async () => {
  const since = await log.append(topic("busy"), "before");
  const missed = await Promise.all(Array.from({ length: MISSED }, (_, at) => log.append(topic("busy"), String(at))));
  let requests = 0;
  log.bus.subscribe("$JS.API.>", () => requests++);
  await log.bus.confirm();

  const readers: Returned[] = await returnAll(`${pusher.url}?topic=busy&since=${since}`, READERS);
  await until(
    "all clients have recovered",
    () => readers.every(({ text }) => text().includes(missed.at(-1) ?? "")),
    60_000,
  );
  const spent = requests;
  const live = await log.append(topic("busy"), "live");
  await until("all clients receive new publications", () => readers.every(({ text }) => text().includes(live)), 60_000);

  for (const { messages } of readers) {
    const [welcome, ...publications] = messages();
    expect(welcome).toMatchObject({ type: "welcome", recovered: true });
    expect(publications.map(({ position }) => position)).toEqual([...missed, live]);
  }
  expect(await metric(pusher.adminUrl, "fanwire_pusher_resumed_total", { outcome: "recovered" })).toBe(READERS);
  // At most some reads for each turn in which readers were gathered, however many they were.
  expect(spent).toBeLessThan(READERS / 10);
  closeAll(readers);
});
