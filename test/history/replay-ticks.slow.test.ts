import { test } from "vitest";
import { startPusher } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { closeReaders, connectReaders } from "../support/load-reader.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const TIMEOUT_MS = 60_000;
/** Publications that are stored at the same time. */
const AT_ONCE = 5_000;

const { nats, history } = useCluster();
const env = { PUSHER_WORKERS: "1", PUSHER_HANDSHAKES_PER_SECOND: "0", ...tickMonitor };

/** Stores publications to each topic in turn. Returns the position before the first and that of the last. */
async function publish(topics: readonly string[], toEach: number) {
  const since = await history.append(topic("before"), "before");
  let last = since;
  for (let from = 0; from < topics.length * toEach; from += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, topics.length * toEach - from) }, (_, at) => from + at);
    const stored = await Promise.all(batch.map((at) => history.append(topic(topics[at % topics.length] ?? ""), "x")));
    last = stored.at(-1) ?? last;
  }
  return { since, last };
}

test.each([
  { clients: 100, pattern: "a.>", topics: 20, toEach: 100 },
  { clients: 1, pattern: undefined, topics: 128, toEach: 990 },
])(
  "replays of $topics topics with $toEach publications each take ticks below 50 ms of work, clients: $clients",
  async ({ clients, pattern, topics, toEach }) => {
    const names = Array.from({ length: topics }, (_, at) => `${pattern === undefined ? "b" : "a"}.${at}`);
    const { since, last } = await publish(names, toEach);
    const query = [...(pattern === undefined ? [] : [pattern]), ...names].map((name) => `topic=${name}`).join("&");

    await expectShortTicks(`${clients} clients with ${topics} topics`, async () => {
      // A worker keeps what it has read for a while, so each round needs another one.
      await using pusher = await startPusher({ nats: nats.url, env });
      await longestTickMs(pusher);

      const readers = await connectReaders(`${pusher.url}/?${query}&since=${since}`, clients);
      const haveAll = () => readers.every(({ text }) => text().includes(`"${last}"`));
      await until("all clients have recovered", haveAll, TIMEOUT_MS);

      const longest = await longestTickMs(pusher);
      closeReaders(readers);
      return longest;
    });
  },
);
