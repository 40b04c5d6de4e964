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
  const receive = (number: number, sequence: number | undefined, subscription?: string) =>
    reader.receive({ number, sequence, subscription, address });
  return { ledger, reader, store, receive };
}

test("one delivery for each subscription, in order, is no failure", () => {
  const { ledger, store, receive } = open();
  for (const sequence of [1, 2]) {
    const number = store(sequence);
    receive(number, sequence, "load.1");
    receive(number, sequence, "load.*");
  }
  receive(store(3, { user: "anna" }), 3);
  receive(store(4, { everyone: true }), 4);
  store(5, { user: "bob" });
  store(6, { topic: "other" });

  ledger.settle(6);

  expect(Object.values(ledger.faults).flat()).toEqual([]);
});

test("an acknowledged publication that did not arrive is lost once it is settled", () => {
  const { ledger, store, receive } = open(["load.1"]);
  receive(store(1), 1, "load.1");
  store(2);
  store(3);

  ledger.settle(2);

  expect(ledger.faults.lost).toHaveLength(1);
  expect(ledger.missing(3)).toHaveLength(1);
});

test("a publication under another sequence than acknowledged, or under that of another, is renumbered", () => {
  const { ledger, store, receive } = open(["load.1"]);
  receive(store(1), 2, "load.1");
  store(1);

  expect(ledger.faults.renumbered).toHaveLength(2);
});

test("failures that follow from a renumbered publication are counted apart, also when it shows later", () => {
  const { ledger, store, receive } = open(["load.1"]);
  const [twice, first, second] = [store(1), store(2), store(3)];
  for (const sequence of [undefined, undefined]) receive(twice, sequence, "load.1");
  receive(first, 2, "load.1");
  expect(ledger.faults.repeated).toHaveLength(1);

  receive(twice, 4, "load.1");
  receive(second, 2, "load.1");
  ledger.settle(3);

  const { lost, repeated, disordered, byRenumbering } = ledger.faults;
  expect([...lost, ...repeated, ...disordered]).toEqual([]);
  expect(byRenumbering.length).toBeGreaterThan(3);
});

test("a settled publication that is received under another sequence is renumbered; under the same one it is repeated", () => {
  const { ledger, store, receive } = open(["load.1"]);
  const [twice, again] = [store(1), store(2)];
  for (const [number, sequence] of [
    [twice, 1],
    [again, 2],
  ] as const)
    receive(number, sequence, "load.1");
  ledger.settle(2);

  receive(twice, 3, "load.1");
  receive(twice, undefined, "load.1");
  receive(again, 2, "load.1");

  expect(ledger.faults).toMatchObject({
    repeated: [expect.stringContaining("received 2")],
    renumbered: [expect.any(String)],
  });
});

test("a live publication for which no publisher has answered may arrive after others were settled", () => {
  const { ledger, receive } = open(["load.1"]);
  const publish = () => ledger.publish({ topic: "load.1" }, false);
  const [late, answered] = [publish(), publish(), publish()];
  ledger.answered([answered]);
  for (let settled = 1; settled <= 3; settled++) ledger.settle(settled);

  receive(late, undefined, "load.1");
  expect(ledger.faults.repeated).toEqual([]);
  receive(answered, undefined, "load.1");
  expect(ledger.faults.repeated).toHaveLength(1);
});

test("two publications received under one sequence are renumbered, although neither was acknowledged", () => {
  const { ledger, receive } = open(["load.1"]);
  for (const sequence of [1, 1]) receive(ledger.publish({ topic: "load.1" }, true), sequence, "load.1");

  expect(ledger.faults).toMatchObject({ repeated: [], renumbered: [expect.any(String)] });
});

test("nothing counts as lost up to the position at which a reader was reported as not recovered", () => {
  const { ledger, reader, store } = open(["load.1"]);
  store(1);
  store(2);
  reader.forgive(1);

  expect(ledger.missing(2)).toHaveLength(1);
});

test("a second delivery is repeated, also after the first was settled", () => {
  const { ledger, store, receive } = open(["load.1"]);
  const number = store(1);
  receive(number, 1, "load.1");
  receive(number, 1, "load.1");
  const live = ledger.publish({ topic: "load.1" }, false);
  receive(live, undefined, "load.1");
  receive(live, undefined, "load.1");
  ledger.settle(1);
  receive(number, 1, "load.1");

  expect(ledger.faults.repeated).toHaveLength(3);
});

test("a late acknowledgement, after later publications were settled, makes nothing lost or repeated", () => {
  const { ledger, store, receive } = open(["load.1"]);
  const number = ledger.publish({ topic: "load.1" }, true);
  receive(number, 1, "load.1");
  receive(store(2), 2, "load.1");
  ledger.settle(2);

  ledger.acknowledge(number, 1);

  expect(ledger.missing(2)).toEqual([]);
  ledger.settle(2);
  expect(Object.values(ledger.faults).flat()).toEqual([]);
});

test("a publication that is acknowledged late and did not arrive is lost", () => {
  const { ledger, store, receive } = open(["load.1"]);
  const number = ledger.publish({ topic: "load.1" }, true);
  receive(store(2), 2, "load.1");
  ledger.settle(2);

  ledger.acknowledge(number, 1);

  expect(ledger.missing(2)).toHaveLength(1);
});

test("an earlier publication after a later one of its topic is out of order", () => {
  const { ledger, store, receive } = open(["load.1"]);
  const [first, second] = [store(1), store(2)];
  receive(second, 2, "load.1");
  receive(first, 1, "load.1");

  expect(ledger.faults.disordered).toHaveLength(1);
});

test("a publication for another connection, user or topic is misdelivered", () => {
  const { ledger, store, receive } = open(["load.1"]);
  receive(ledger.publish({ connection: address }, false), undefined);
  receive(ledger.publish({ connection: "worker00.2" }, false), undefined);
  receive(store(1, { user: "bob" }), 1);
  receive(store(2, { topic: "load.2" }), 2, "load.1");

  expect(ledger.faults.misdelivered).toHaveLength(3);
});

test("deliveries without sequences are in order and without gaps while a connection is open", () => {
  const { ledger, reader, store, receive } = open(["load.1"]);
  const [before, first, second, third, fourth, after] = [1, 2, 3, 4, 5, 6].map((sequence) => store(sequence));
  for (const number of [first, fourth, third]) receive(number ?? 0, undefined, "load.1");
  reader.forgive(6);

  ledger.settle(6);

  const { lost, disordered } = ledger.faults;
  expect(
    [before, after].filter((number) => [...lost, ...disordered].some((text) => text.includes(`${number} (`))),
  ).toEqual([]);
  expect(lost).toEqual([expect.stringContaining(`lacks ${second}`)]);
  expect(disordered).toEqual([expect.stringContaining(`received ${third}`)]);
});

test("deliveries to another connection do not count for the order of this one", () => {
  const { ledger, reader, store, receive } = open(["load.1"]);
  const [first, second] = [store(1), store(2)];
  receive(second, undefined, "load.1");
  reader.receive({ number: first, sequence: undefined, subscription: "load.1", address: "worker00.2" });
  reader.forgive(2);

  ledger.settle(2);

  expect(Object.values(ledger.faults).flat()).toEqual([]);
});

test("content that was not published is altered", () => {
  const { ledger, receive } = open();
  receive(Number.NaN, undefined, "load.1");

  expect(ledger.faults.altered).toHaveLength(1);
});

test("readers are complete when they have everything, including publications acknowledged since the first check", () => {
  const { ledger, store, receive } = open(["load.1"]);
  const [first, second] = [store(1), store(3)];
  const isComplete = ledger.completion(3);
  expect(isComplete()).toBe(false);

  receive(second, 3, "load.1");
  expect(isComplete()).toBe(false);
  const late = store(2);
  receive(first, 1, "load.1");
  expect(isComplete()).toBe(false);
  receive(late, 2, "load.1");

  expect(isComplete()).toBe(true);
});
