import type { Log } from "@fanwire/service";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConsumerCreator, type MissingConsumer } from "./consumer-creator.ts";

const logged: unknown[] = [];
const log = { warn: (fields: unknown) => logged.push(fields) } as unknown as Log; // nothing else is called
let creator: ConsumerCreator;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setImmediate", "setTimeout", "clearTimeout", "performance"] });
  logged.length = 0;
  creator = new ConsumerCreator(log);
});
afterEach(() => void vi.useRealTimers());

/** A consumer that counts its creations. Each lasts until the test ends it. */
class TestConsumer implements MissingConsumer {
  readonly name: string;
  isNeeded = true;
  tries = 0;
  isCreated = false;
  /** Ends the creation that is under way. */
  end: (error?: Error) => void = () => {};

  constructor(name = "jobs") {
    this.name = name;
  }

  create(): Promise<void> {
    this.tries++;
    return new Promise((resolve, reject) => {
      this.end = (error) => (error ? reject(error) : resolve());
    });
  }

  onCreated(): void {
    this.isCreated = true;
  }
}

const triesOf = (consumers: readonly TestConsumer[]) => consumers.reduce((sum, { tries }) => sum + tries, 0);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("a consumer that is no longer needed in the same tick is not created", async () => {
  const [kept, cancelled] = [new TestConsumer(), new TestConsumer()];
  for (const consumer of [cancelled, kept]) creator.add(consumer);
  creator.cancel(cancelled);
  await pass(1);

  expect([kept.tries, cancelled.tries]).toEqual([1, 0]);
});

test("at most 64 consumers are created at the same time, in order, and each that ends makes room", async () => {
  const consumers = Array.from({ length: 100 }, () => new TestConsumer());
  for (const consumer of consumers) creator.add(consumer);
  await pass(10_000);
  expect(consumers.findIndex(({ tries }) => tries === 0)).toBe(64);

  consumers[3]?.end();
  consumers[5]?.end(new Error("away"));
  await pass(1);

  expect(consumers.findIndex(({ tries }) => tries === 0)).toBe(66);
  expect(consumers.filter(({ isCreated }) => isCreated)).toEqual([consumers[3]]);
});

test("a failed creation is retried after a second while the consumer is needed", async () => {
  const [lasting, cancelled, ended] = [new TestConsumer(), new TestConsumer(), new TestConsumer()];
  const consumers = [lasting, cancelled, ended];
  for (const consumer of consumers) creator.add(consumer);
  await pass(1);
  ended.isNeeded = false;
  for (const { end } of consumers) end(new Error("away"));
  await pass(1);
  for (const consumer of [lasting, cancelled]) creator.add(consumer);
  creator.cancel(cancelled);
  await pass(900);
  expect(triesOf(consumers)).toBe(3);

  await pass(200);

  expect(consumers.map(({ tries }) => tries)).toEqual([2, 1, 1]);
  lasting.end();
  await pass(1);
  expect(lasting.isCreated).toBe(true);
});

test("failures are logged at most every ten seconds, with the number of queues that wait", async () => {
  const consumers = Array.from({ length: 20 }, (_, at) => new TestConsumer(`queue ${at}`));
  for (const consumer of consumers) creator.add(consumer);
  await pass(1);
  for (let seconds = 0; seconds < 15; seconds++) {
    for (const { end } of consumers) end(new Error("no JetStream"));
    await pass(1_001);
  }

  expect(triesOf(consumers)).toBeGreaterThan(10 * consumers.length);
  expect(logged).toHaveLength(2);
  expect(logged[0]).toMatchObject({ consumer: "queue 0", waiting: consumers.length });
});
