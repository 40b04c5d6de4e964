import { expect, test } from "vitest";
import { caughtUp } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { residentBytes } from "../support/flat-memory.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const ENTRIES = 1_000_000;
const TOPICS = 1_000;
/** Maximum number of unacknowledged publications, because JetStream drops what arrives too fast. */
const WINDOW = 2_000;
/** Maximum growth while the worker catches up. */
const MAX_MEMORY_BYTES = 150 * 1_048_576;
const DEADLINE_MS = 60_000;

const { link, history, pusher } = useCluster({
  history: { maxPerSubject: 1_000_000, maxBytes: 1_024 ** 3 },
  pusher: { PUSHER_WORKERS: "1", ...tickMonitor },
});

/** Stores publications without headers, as fast as JetStream acknowledges them. */
async function store(count: number): Promise<void> {
  const { bus, subjects } = history;
  const all = Array.from({ length: TOPICS }, (_, at) => subjects.history(topic(`busy.${at}`)));
  const content = Buffer.from("0123456789");
  let sent = 0;
  let stored = 0;
  const inbox = bus.createInbox();
  const answers = bus.subscribe(inbox, () => stored++);
  await bus.confirm();
  while (stored < count) {
    while (sent < count && sent - stored < WINDOW) {
      bus.connection.publish(all[sent % TOPICS] ?? "", content, { reply: inbox });
      sent++;
    }
    await new Promise(setImmediate);
  }
  answers.unsubscribe();
}

test("a worker that missed a million publications catches up in short ticks, and answers resuming clients truthfully", async () => {
  const quiet = await history.append(topic("quiet"), "the last one");
  const start = await history.append(topic("busy.0"), "the first one");
  await caughtUp(pusher, start);
  const reader = await connectFanwire(pusher.url, { topic: "quiet" });
  const atRest = residentBytes(pusher.process.pid);

  /** Positions of what the quiet topic received in each round. */
  const ends: string[] = [];
  await expectShortTicks(`${ENTRIES} missed publications`, async (round) => {
    const last = `the end of round ${round}`;
    link.cut();
    await store(ENTRIES);
    ends.push(await history.append(topic("quiet"), last));
    await longestTickMs(pusher); // starts a new measurement
    link.heal();
    const healedAt = performance.now();
    let peak = 0;
    const hasLast = () => {
      peak = Math.max(peak, residentBytes(pusher.process.pid));
      return reader.data().includes(last);
    };
    await until("the worker delivers the last publication", hasLast, DEADLINE_MS);
    console.info({ caughtUpMs: performance.now() - healedAt, grownBytes: peak - atRest });

    expect(reader.data().slice(round)).toEqual([last]);
    expect(reader.close).toBeUndefined();
    expect(peak - atRest).toBeLessThan(MAX_MEMORY_BYTES);
    return longestTickMs(pusher);
  });

  await expectShortTicks("resumes", async () => {
    const [ofQuiet, ofOne, ofAll] = await Promise.all([
      connectFanwire(pusher.url, { topic: "quiet", since: quiet }),
      connectFanwire(pusher.url, { topic: "busy.0", since: start }),
      connectFanwire(pusher.url, { topic: "busy.*", since: start }),
    ]);
    expect(ofQuiet.welcome.recovered).toBe(true);
    await until("the missed publications of the quiet topic arrive", () => ofQuiet.publications.length === ends.length);
    expect(ofQuiet.publications.map(({ position }) => position)).toEqual(ends);
    expect(ofOne.welcome.recovered).toBe(true);
    const missed = (ends.length * ENTRIES) / TOPICS;
    await until("the missed publications of one topic arrive", () => ofOne.publications.length === missed);
    // A million publications are over the replay limit of a client.
    expect(ofAll.welcome).toMatchObject({ recovered: false, reason: "over-replay-limit" });
    return longestTickMs(pusher);
  });
});
