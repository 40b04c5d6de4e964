import { matchesTopic } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, reconnected, record, settled } from "../test-data/fake-web-socket.ts";
import { type Logged, ModelWorker } from "../test-data/model-worker.ts";

useFakeTime();

/** Has room for short topics only, so that the others are always subscribed by commands. */
const URL_WITH_LITTLE_ROOM = `ws://pusher.example/?page=${"x".repeat(1_100)}`;
const long = (name: string) => `${name}.${"x".repeat(200)}`;
const TOPICS = ["a", long("b")];
const LATE = ["c", long("d")];
/** A topic to which the application subscribes connections. */
const APPLICATION = "e";
const PUBLISHED = [...TOPICS, ...LATE, APPLICATION];
/** Initial and later subscriptions. They overlap, so that a topic has none, one or several. */
const SUBSCRIPTIONS = [...TOPICS, "*"];
const LATE_SUBSCRIPTIONS = [...LATE, long("*")];

const at = fc.nat(1_000);
const count = fc.integer({ min: 1, max: 4 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("publish" as const), at }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("arrive" as const), count }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("catch-up" as const), at, count }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drop" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("subscribe" as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("renew" as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("application" as const) }) },
);

test("wherever connections break, each subscription receives its durable publications once, in order, without gaps", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
      const log: Logged[] = [{ sequence: 1, topic: "a" }];
      const subscribed = new Set(SUBSCRIPTIONS);
      /** Number of restarts of each subscription. */
      const restarts = new Map<string, number>();
      const { client, publications } = await record({ url: URL_WITH_LITTLE_ROOM, topics: SUBSCRIPTIONS, since: "e-0" });
      let worker = new ModelWorker(FakeWebSocket.last, log);

      const drop = async () => {
        FakeWebSocket.last.end();
        await reconnected();
        worker = new ModelWorker(FakeWebSocket.last, log);
      };
      for (const each of steps) {
        if (each.kind === "publish") {
          const topic = PUBLISHED[each.at % PUBLISHED.length] ?? "";
          const logged = { sequence: (log.at(-1)?.sequence ?? 0) + 1, topic };
          log.push(logged);
          worker.publish(logged);
        } else if (each.kind === "arrive") worker.arrive(each.count);
        else if (each.kind === "catch-up") worker.catchUp(each.count, each.at);
        else if (each.kind === "read") worker.readCommands();
        else if (each.kind === "drop") await drop();
        else if (each.kind === "application") worker.subscribeByApplication(APPLICATION);
        else if (each.kind === "restart" || each.kind === "renew") {
          const topic = [...subscribed][each.at % subscribed.size] ?? "";
          restarts.set(topic, (restarts.get(topic) ?? 0) + 1);
          if (each.kind === "renew") client.unsubscribe(topic).catch(() => {});
          client.subscribe(topic, { since: "e-0" }).catch(() => {});
        } else {
          const topic = LATE_SUBSCRIPTIONS[each.at % LATE_SUBSCRIPTIONS.length] ?? "";
          // Only on a connection, because a subscription without one resumes from the position of the lost connection.
          if (client.address !== undefined && !subscribed.has(topic)) {
            subscribed.add(topic);
            client.subscribe(topic, { since: "e-0" }).catch(() => {});
          }
        }
        await settled();
      }
      await drop();
      for (let step = 0; step < 10_000 && (step < 20 || !worker.isIdle); step++) {
        worker.readCommands();
        worker.catchUp(5, step);
        worker.arrive(5);
        await settled();
      }

      for (const name of subscribed) {
        const copies = publications.filter(({ subscription, topic }) => (subscription ?? topic) === name);
        const got = copies.map(({ position = "" }) => Number(position.slice("e-".length)));
        const expected = log.filter(({ topic }) => matchesTopic(name, topic)).map(({ sequence }) => sequence);
        expectRuns(got, expected, restarts.get(name) ?? 0);
      }
      client.close();
      await settled();
    }),
    { numRuns: 1_000 },
  );
});

/** A restarted subscription starts over: no run has a gap or a duplicate, and the last one is complete. */
function expectRuns(got: readonly number[], expected: readonly number[], restarts: number): void {
  const starts = got.flatMap((sequence, at) => (at === 0 || sequence <= (got[at - 1] ?? 0) ? [at] : []));
  const runs = starts.map((start, at) => got.slice(start, starts[at + 1]));
  expect(runs.length).toBeLessThanOrEqual(1 + restarts);
  for (const run of runs) expect(run).toEqual(expected.slice(0, run.length));
  expect(runs.at(-1) ?? []).toEqual(expected);
}
