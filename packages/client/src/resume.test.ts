import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeWebSocket, reconnected, record, settled } from "../test-data/fake-web-socket.ts";
import { type Logged, ModelWorker } from "../test-data/model-worker.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** There is no room in this one but for short topics: the others are always followed by commands. */
const URL_WITH_LITTLE_ROOM = `ws://edge.example/?page=${"x".repeat(1_100)}`;
const long = (name: string) => `${name}.${"x".repeat(200)}`;
const TOPICS = ["a", long("b")];
const LATE = ["c", long("d")];

const at = fc.nat(1_000);
const count = fc.integer({ min: 1, max: 4 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("publish" as const), at }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("arrive" as const), count }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("catch-up" as const), at, count }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drop" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("subscribe" as const), at }) },
);

test("wherever connections break, each topic's durable publications arrive once, in order, none missing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
      const log: Logged[] = [{ sequence: 1, topic: "a" }];
      const followed = new Set(TOPICS);
      const { client, publications } = await record({ url: URL_WITH_LITTLE_ROOM, topics: TOPICS, since: "e-0" });
      let worker = new ModelWorker(FakeWebSocket.last, log);

      const drop = async () => {
        FakeWebSocket.last.end();
        await reconnected();
        worker = new ModelWorker(FakeWebSocket.last, log);
      };
      for (const each of steps) {
        if (each.kind === "publish") {
          const topic = [...TOPICS, ...LATE][each.at % (TOPICS.length + LATE.length)] ?? "";
          const logged = { sequence: (log.at(-1)?.sequence ?? 0) + 1, topic };
          log.push(logged);
          worker.publish(logged);
        } else if (each.kind === "arrive") worker.arrive(each.count);
        else if (each.kind === "catch-up") worker.catchUp(each.count, each.at);
        else if (each.kind === "read") worker.readCommands();
        else if (each.kind === "drop") await drop();
        else {
          const topic = LATE[each.at % LATE.length] ?? "";
          // Only on a connection: what is subscribed without one goes on from where that was lost.
          if (client.address !== undefined && !followed.has(topic)) {
            followed.add(topic);
            client.subscribe(topic, { since: "e-0" }).catch(() => {});
          }
        }
        await settled();
      }
      await drop();
      for (let turn = 0; turn < 10_000 && (turn < 20 || !worker.isIdle); turn++) {
        worker.readCommands();
        worker.catchUp(5, turn);
        worker.arrive(5);
        await settled();
      }

      for (const topic of followed) {
        const got = publications.filter((each) => each.topic === topic).map(({ position }) => position);
        expect(got).toEqual(log.filter((each) => each.topic === topic).map(({ sequence }) => `e-${sequence}`));
      }
      client.close();
      await settled();
    }),
    { numRuns: 1_000 },
  );
});
