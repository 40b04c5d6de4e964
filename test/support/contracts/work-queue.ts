import type { Taker, WorkItem, WorkQueue } from "@fanwire/bus";
import { describe, expect, test } from "vitest";
import { until } from "../wait.ts";

export const textOf = ({ content }: WorkItem) => Buffer.from(content).toString();
let ids = 0;
export const enqueue = (queues: WorkQueue, subject: string, text: string) =>
  queues.enqueue(subject, Buffer.from(text), `id ${++ids}`);

/** Takes items one at a time, and acknowledges each. */
export function finishAll(queues: WorkQueue, name: string): { taker: Taker; got: string[] } {
  const got: string[] = [];
  const taker = queues.take(`queue.${name}`, name, (item) => {
    got.push(textOf(item));
    item.acknowledge();
    taker.want(1);
  });
  taker.want(1);
  return { taker, got };
}

/** Tests what every {@link WorkQueue} must do. `open` opens the same queues as another process would. */
export function testWorkQueueContract(open: () => Promise<WorkQueue>): void {
  describe("the contract of a work queue", () => {
    test("items are stored in order, and each is delivered to one consumer of any process", async () => {
      const [one, other] = await Promise.all([open(), open()]);
      const texts = Array.from({ length: 500 }, (_, at) => String(at));
      const outcomes = await Promise.all(texts.map((text) => enqueue(one, "queue.shared", text)));
      expect(outcomes.every(({ ok }) => ok)).toBe(true);

      const takers = [finishAll(one, "shared"), finishAll(other, "shared")];
      await until("all items are taken", () => takers.reduce((sum, { got }) => sum + got.length, 0) >= texts.length);

      expect(takers.flatMap(({ got }) => got).sort()).toEqual([...texts].sort());
      for (const { got, taker } of takers) {
        expect(got).toEqual(got.toSorted((a, b) => Number(a) - Number(b)));
        expect(got.length).toBeGreaterThan(0);
        taker.stop();
      }
    });

    test("a consumer takes as many items as it wants, and none before", async () => {
      const queues = await open();
      const got: string[] = [];
      const taker = queues.take("queue.wanted", "wanted", (item) => {
        got.push(textOf(item));
        item.acknowledge();
      });
      for (const text of ["1", "2", "3"]) await enqueue(queues, "queue.wanted", text);
      expect(got).toEqual([]);

      taker.want(2);
      await until("two items arrive", () => got.length === 2);
      await enqueue(queues, "queue.wanted", "4");
      expect(got).toEqual(["1", "2"]);
      taker.stop();
    });

    test("a returned item is redelivered before later items, marked as repeated", async () => {
      const [one, other] = await Promise.all([open(), open()]);
      const held: WorkItem[] = [];
      const holder = one.take("queue.back", "back", (item) => held.push(item));
      holder.want(1);
      for (const text of ["first", "second"]) await enqueue(one, "queue.back", text);
      const item = await until("the publication arrives", () => held[0]);
      expect([textOf(item), item.isRepeated]).toEqual(["first", false]);
      expect(Math.abs(item.storedAt - Date.now())).toBeLessThan(20_000);

      holder.stop();
      item.returnToQueue();
      const got: [string, boolean][] = [];
      const taker = other.take("queue.back", "back", (again) => {
        got.push([textOf(again), again.isRepeated]);
        again.acknowledge();
        taker.want(1);
      });
      taker.want(1);

      await until("both publications arrive", () => got.length === 2);
      expect(got.map(([text]) => text).sort()).toEqual(["first", "second"]);
      expect(got.find(([text]) => text === "first")).toEqual(["first", true]);
      taker.stop();
    });

    test("an item that is returned with a delay is redelivered after it, and later items before it", async () => {
      const queues = await open();
      const got: string[] = [];
      let returnedAt = 0;
      const taker = queues.take("queue.delayed", "delayed", (item) => {
        got.push(textOf(item));
        if (got.length === 1) {
          returnedAt = performance.now();
          item.returnToQueue(1_000);
        } else item.acknowledge();
        taker.want(1);
      });
      taker.want(1);
      for (const text of ["first", "second"]) await enqueue(queues, "queue.delayed", text);

      await until("the first item arrives again", () => got.length === 3);
      expect(got).toEqual(["first", "second", "first"]);
      expect(performance.now() - returnedAt).toBeGreaterThan(900);
      taker.stop();
    });

    test("a consumer that wants none or has stopped takes no item from others", async () => {
      const [one, other] = await Promise.all([open(), open()]);
      await enqueue(one, "queue.left", "prepares the consumer");
      const first = finishAll(one, "left");
      await until("the publication arrives", () => first.got.length === 1);
      first.taker.want(3);
      first.taker.want(0);
      const second = finishAll(one, "left");
      second.taker.stop();
      const last = finishAll(other, "left");

      for (const text of ["1", "2", "3"]) await enqueue(one, "queue.left", text);

      await until("all publications arrive", () => last.got.length === 3, 5_000);
      expect(last.got).toEqual(["1", "2", "3"]);
      last.taker.stop();
    });

    test("deduplication: an item that is enqueued twice under one id is stored once", async () => {
      const queues = await open();
      for (let tries = 0; tries < 3; tries++) {
        expect(await queues.enqueue("queue.twice", Buffer.from("once"), "the same")).toEqual({ ok: true });
      }
      await enqueue(queues, "queue.twice", "last");

      const { taker, got } = finishAll(queues, "twice");
      await until("the last publication arrives", () => got.includes("last"));
      expect(got).toEqual(["once", "last"]);
      taker.stop();
    });
  });
}
