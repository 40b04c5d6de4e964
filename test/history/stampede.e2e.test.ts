import { expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { closeReaders, connectReaders, type LoadReader } from "../support/load-reader.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const READERS = 3_000;
const MISSED = 40;

const { history, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1", PUSHER_HANDSHAKES_PER_SECOND: "0" } });

test("three thousand clients that resume at once recover with a few reads of the history", async () => {
  const since = await history.append(topic("busy"), "before");
  const missed = await Promise.all(
    Array.from({ length: MISSED }, (_, at) => history.append(topic("busy"), String(at))),
  );
  let requests = 0;
  history.bus.subscribe("$JS.API.>", () => requests++);
  await history.bus.confirm();

  const readers: LoadReader[] = await connectReaders(`${pusher.url}?topic=busy&since=${since}`, READERS);
  await until(
    "all clients have recovered",
    () => readers.every(({ text }) => text().includes(missed.at(-1) ?? "")),
    60_000,
  );
  const spent = requests;
  const live = await history.append(topic("busy"), "live");
  await until("all clients receive new publications", () => readers.every(({ text }) => text().includes(live)), 60_000);

  for (const { messages } of readers) {
    const [welcome, ...publications] = messages();
    expect(welcome).toMatchObject({ type: "welcome", recovered: true });
    expect(publications.map(({ position }) => position)).toEqual([...missed, live]);
  }
  expect(await metric(pusher.adminUrl, "fanwire_pusher_resumed_total", { outcome: "recovered" })).toBe(READERS);
  // A worker needs a few reads for each tick in which readers resume, however many they are.
  expect(spent).toBeLessThan(READERS / 10);
  closeReaders(readers);
});
