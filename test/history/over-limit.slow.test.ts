import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { topic } from "../support/durable.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const KEPT = 200;
const STEP_MS = 10;
const HOT_PER_STEP = 10;
const QUIET_PER_STEP = 2;
const AWAY_MS = 5_000;
/** The worker has caught up after this time, so that the rest is delivered soon. */
const CATCH_UP_MS = 10_000;
const SOON_MS = 3_000;
const QUIET_TOPICS = 500;

const { link, history, pusher } = useCluster({ history: { maxPerSubject: KEPT }, pusher: { PUSHER_WORKERS: "1" } });

/** Publishes to a hot topic over its limit and to quiet ones, at a steady rate until it is stopped. */
function publishOn() {
  const { bus, subjects } = history;
  let quiet = 0;
  const timer = setInterval(() => {
    const publish = (name: string, content: string) =>
      bus.connection.publish(subjects.history(topic(name)), Buffer.from(content));
    for (let hot = 0; hot < HOT_PER_STEP; hot++) {
      publish("hot", "hot");
      if (hot % (HOT_PER_STEP / QUIET_PER_STEP) === 0) publish(`quiet.${quiet % QUIET_TOPICS}`, String(quiet++));
    }
  }, STEP_MS);
  return {
    /** Returns the number of publications to quiet topics. */
    async stop(): Promise<number> {
      clearInterval(timer);
      await bus.confirm();
      return quiet;
    },
  };
}

test("a worker that was away while a topic exceeded its limit catches up although publishing continues", async () => {
  const quiet = await connectFanwire(pusher.url, { topic: "quiet.*" });
  const hot = await connectRawClient(`${pusher.url}?topic=hot`);
  const load = publishOn();
  await until("both receive", () => quiet.publications.length > 50 && hot.frames.length > 50);

  link.cut();
  await delay(AWAY_MS);
  link.heal();
  await delay(CATCH_UP_MS);
  const published = await load.stop();
  const stoppedAt = performance.now();

  await until("the quiet topics are delivered", () => quiet.publications.length === published, 60_000);
  const lateMs = performance.now() - stoppedAt;
  console.info({ published, lateMs });
  expect(quiet.data()).toEqual(Array.from({ length: published }, (_, at) => String(at)));
  expect(quiet.close).toBeUndefined();
  expect(lateMs).toBeLessThan(SOON_MS);
});
