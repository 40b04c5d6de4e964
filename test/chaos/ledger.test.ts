import { expect, test } from "vitest";
import { Ledger } from "./ledger.ts";

const address = "worker00.1";

function open(subscriptions = ["load.1", "load.*"]) {
  const ledger = new Ledger();
  const reader = ledger.addReader({ name: "reader", user: "anna", subscriptions, resumes: true });
  /** Publishes durably and has it acknowledged. */
  const store = (sequence: number, target: Parameters<Ledger["publish"]>[0] = { topic: "load.1" }) => {
    const number = ledger.publish(target, true);
    ledger.acknowledge(number, sequence);
    return number;
  };
  const hear = (number: number, sequence: number | undefined, subscription?: string) =>
    reader.hear({ number, sequence, subscription, address });
  return { ledger, reader, store, hear };
}

test("what comes once for each subscription, in order, is no fault", () => {
  const { ledger, store, hear } = open();
  for (const sequence of [1, 2]) {
    const number = store(sequence);
    hear(number, sequence, "load.1");
    hear(number, sequence, "load.*");
  }
  hear(store(3, { user: "anna" }), 3);
  hear(store(4, { everyone: true }), 4);
  store(5, { user: "bob" });
  store(6, { topic: "other" });

  ledger.settle(6);

  expect(Object.values(ledger.faults).flat()).toEqual([]);
});

test("what was acknowledged and did not come is lost, what is newer is not yet", () => {
  const { ledger, store, hear } = open(["load.1"]);
  hear(store(1), 1, "load.1");
  store(2);
  store(3);

  ledger.settle(2);

  expect(ledger.faults.lost).toHaveLength(1);
  expect(ledger.missing(3)).toHaveLength(1);
});

test("what comes under another sequence than was acknowledged, or shares it with another, was renumbered", () => {
  const { ledger, store, hear } = open(["load.1"]);
  hear(store(1), 2, "load.1");
  store(1);

  expect(ledger.faults.renumbered).toHaveLength(2);
});

test("what NATS stored twice, or where nodes hold different logs, is not told as our fault, also when that shows later", () => {
  const { ledger, store, hear } = open(["load.1"]);
  const [twice, first, second] = [store(1), store(2), store(3)];
  for (const sequence of [undefined, undefined]) hear(twice, sequence, "load.1");
  hear(first, 2, "load.1");
  expect(ledger.faults.repeated).toHaveLength(1);

  hear(twice, 4, "load.1");
  hear(second, 2, "load.1");
  ledger.settle(3);

  const { lost, repeated, disordered, byRenumbering } = ledger.faults;
  expect([...lost, ...repeated, ...disordered]).toEqual([]);
  expect(byRenumbering.length).toBeGreaterThan(3);
});

test("who hears of two publications under one sequence, though nobody acknowledged either, heard what NATS renumbered", () => {
  const { ledger, hear } = open(["load.1"]);
  for (const sequence of [1, 1]) hear(ledger.publish({ topic: "load.1" }, true), sequence, "load.1");

  expect(ledger.faults).toMatchObject({ repeated: [], renumbered: [expect.any(String)] });
});

test("of what a reader was told may be missing nothing is lost", () => {
  const { ledger, reader, store } = open(["load.1"]);
  store(1);
  store(2);
  reader.forgive(1);

  expect(ledger.missing(2)).toHaveLength(1);
});

test("what comes twice is repeated, also when it was settled meanwhile", () => {
  const { ledger, store, hear } = open(["load.1"]);
  const number = store(1);
  hear(number, 1, "load.1");
  hear(number, 1, "load.1");
  const live = ledger.publish({ topic: "load.1" }, false);
  hear(live, undefined, "load.1");
  hear(live, undefined, "load.1");
  ledger.settle(1);
  hear(number, 1, "load.1");

  expect(ledger.faults.repeated).toHaveLength(3);
});

test("what is acknowledged long after it came, when what was stored later is settled, is neither lost nor repeated", () => {
  const { ledger, store, hear } = open(["load.1"]);
  const number = ledger.publish({ topic: "load.1" }, true);
  hear(number, 1, "load.1");
  hear(store(2), 2, "load.1");
  ledger.settle(2);

  ledger.acknowledge(number, 1);

  expect(ledger.missing(2)).toEqual([]);
  ledger.settle(2);
  expect(Object.values(ledger.faults).flat()).toEqual([]);
});

test("what is acknowledged so late and did not come is lost", () => {
  const { ledger, store, hear } = open(["load.1"]);
  const number = ledger.publish({ topic: "load.1" }, true);
  hear(store(2), 2, "load.1");
  ledger.settle(2);

  ledger.acknowledge(number, 1);

  expect(ledger.missing(2)).toHaveLength(1);
});

test("an earlier one after a later one of its topic is out of order", () => {
  const { ledger, store, hear } = open(["load.1"]);
  const [first, second] = [store(1), store(2)];
  hear(second, 2, "load.1");
  hear(first, 1, "load.1");

  expect(ledger.faults.disordered).toHaveLength(1);
});

test("what was for another connection, user or topic is misdelivered", () => {
  const { ledger, store, hear } = open(["load.1"]);
  hear(ledger.publish({ connection: address }, false), undefined);
  hear(ledger.publish({ connection: "worker00.2" }, false), undefined);
  hear(store(1, { user: "bob" }), 1);
  hear(store(2, { topic: "load.2" }), 2, "load.1");

  expect(ledger.faults.misdelivered).toHaveLength(3);
});

test("what a connection hears without sequences is in order and has no holes, as far as it was connected", () => {
  const { ledger, reader, store, hear } = open(["load.1"]);
  const [before, first, second, third, fourth, after] = [1, 2, 3, 4, 5, 6].map((sequence) => store(sequence));
  for (const number of [first, fourth, third]) hear(number ?? 0, undefined, "load.1");
  reader.forgive(6);

  ledger.settle(6);

  const { lost, disordered } = ledger.faults;
  expect(
    [before, after].filter((number) => [...lost, ...disordered].some((text) => text.includes(`${number} (`))),
  ).toEqual([]);
  expect(lost).toEqual([expect.stringContaining(`lacks ${second}`)]);
  expect(disordered).toEqual([expect.stringContaining(`heard ${third}`)]);
});

test("what another connection heard before is nothing to the order of this one", () => {
  const { ledger, reader, store, hear } = open(["load.1"]);
  const [first, second] = [store(1), store(2)];
  hear(second, undefined, "load.1");
  reader.hear({ number: first, sequence: undefined, subscription: "load.1", address: "worker00.2" });
  reader.forgive(2);

  ledger.settle(2);

  expect(Object.values(ledger.faults).flat()).toEqual([]);
});

test("what nobody published was altered on the way", () => {
  const { ledger, hear } = open();
  hear(Number.NaN, undefined, "load.1");

  expect(ledger.faults.altered).toHaveLength(1);
});

test("it is complete when all has come, also what was acknowledged after it was asked first", () => {
  const { ledger, store, hear } = open(["load.1"]);
  const [first, second] = [store(1), store(3)];
  const isComplete = ledger.completion(3);
  expect(isComplete()).toBe(false);

  hear(second, 3, "load.1");
  expect(isComplete()).toBe(false);
  const late = store(2);
  hear(first, 1, "load.1");
  expect(isComplete()).toBe(false);
  hear(late, 2, "load.1");

  expect(isComplete()).toBe(true);
});
