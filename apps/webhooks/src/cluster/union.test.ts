import fc from "fast-check";
import { expect, test } from "vitest";
import { HeldChanges } from "./held-changes.ts";
import { countKey, type Key, memberKey, parseKey, topicKey } from "./keys.ts";
import { applyFact, newContribution, Union } from "./union.ts";

const HOLD_MS = 3_000;
const workers = ["aaaaaaaa", "bbbbbbbb", "cccccccc"] as const;
const topics = ["t1", "t2", "t3"] as const;

type Fact = Parameters<typeof applyFact>[1];
type Step =
  | { readonly kind: "fact"; readonly worker: string; readonly fact: Fact; readonly isLost: boolean }
  | { readonly kind: "snapshot"; readonly worker: string }
  | { readonly kind: "die"; readonly worker: string }
  | { readonly kind: "wait"; readonly ms: number };

const worker = fc.constantFrom(...workers);
const topic = fc.constantFrom(...topics);
const fact: fc.Arbitrary<Fact> = fc.oneof(
  fc.tuple(fc.constantFrom("occupied" as const, "vacated" as const), topic),
  fc.tuple(fc.constantFrom("joined" as const, "left" as const), topic, fc.constantFrom("anna", "bob")),
  fc.tuple(fc.constant("count" as const), topic, fc.nat(3)),
);
const isLost = fc.constantFrom(false, false, true);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("fact" as const), worker, fact, isLost }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("snapshot" as const), worker }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("die" as const), worker }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(10, 1_500, 4_000) }) },
);

/** The truth about each worker, and what a webhook sender makes of the reports that reach it. */
class Model {
  readonly truth = new Map(workers.map((id) => [id as string, newContribution()]));
  readonly events: { readonly key: Key; readonly isPresent: boolean }[] = [];
  now = 0;
  readonly union: Union = new Union({
    onPresence: (key, isPresent) => this.held.onPresence(key, isPresent),
    onCount: () => {},
  });
  readonly held: HeldChanges = new HeldChanges(
    { isPresent: (key) => this.union.has(key), onDue: (key) => this.announce(key), now: () => this.now },
    new Set(),
  );

  constructor() {
    this.held.settle();
  }

  announce(key: Key): void {
    const change = this.held.announce(key);
    if (change !== undefined) this.events.push({ key, isPresent: change === "present" });
  }

  async run(each: Step): Promise<void> {
    if (each.kind === "wait") this.now += each.ms;
    else if (each.kind === "snapshot") await this.union.replace(each.worker, this.of(each.worker));
    else if (each.kind === "die") {
      this.truth.set(each.worker, newContribution());
      await this.union.remove(each.worker);
    } else {
      applyFact(this.of(each.worker), each.fact);
      if (!each.isLost) this.union.apply(each.worker, each.fact);
    }
    this.held.expire();
  }

  /** Checks the union after reports that have all arrived. */
  expectTruth(): void {
    const all = [...this.truth.values()];
    for (const each of topics) {
      const count = all.reduce((sum, { counts }) => sum + (counts.get(each) ?? 0), 0);
      expect([this.union.count(each), this.union.has(countKey(each))]).toEqual([count, count > 0]);
      for (const key of [topicKey(each), memberKey(each, "anna"), memberKey(each, "bob")]) {
        expect(this.union.has(key)).toBe(all.some(({ keys }) => keys.has(key)));
      }
    }
  }

  of(id: string) {
    const contribution = this.truth.get(id) ?? newContribution();
    this.truth.set(id, contribution);
    return contribution;
  }
}

test("after snapshots and the hold-back, the announced state is the truth, with events in turns for each key", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const model = new Model();
      const outdated = new Set<string>();
      for (const each of steps) {
        await model.run(each);
        if (each.kind === "fact" && each.isLost) outdated.add(each.worker);
        else if (each.kind === "snapshot" || each.kind === "die") outdated.delete(each.worker);
        if (outdated.size === 0) model.expectTruth();
      }
      for (const id of workers) await model.run({ kind: "snapshot", worker: id });
      await model.run({ kind: "wait", ms: HOLD_MS });

      model.expectTruth();
      const present = new Set([...model.truth.values()].flatMap(({ keys }) => [...keys]));
      const announced = new Map<Key, boolean>();
      for (const { key, isPresent } of model.events) {
        expect(announced.get(key) ?? false).toBe(!isPresent);
        announced.set(key, isPresent);
      }
      const occupied = [...announced].filter(([, isPresent]) => isPresent).map(([key]) => key);
      expect(new Set(occupied)).toEqual(present);
    }),
    { numRuns: 1_000 },
  );
});

test("a key that moves from worker to worker within the hold-back causes no event", async () => {
  const model = new Model();
  const key = topicKey("t1");
  await model.run({ kind: "fact", worker: "aaaaaaaa", fact: ["occupied", "t1"], isLost: false });
  for (let turn = 0; turn < 10; turn++) {
    const [from, to] = turn % 2 === 0 ? ["aaaaaaaa", "bbbbbbbb"] : ["bbbbbbbb", "aaaaaaaa"];
    await model.run({ kind: "fact", worker: String(from), fact: ["vacated", "t1"], isLost: false });
    await model.run({ kind: "wait", ms: 2_900 });
    await model.run({ kind: "fact", worker: String(to), fact: ["occupied", "t1"], isLost: false });
  }
  expect(model.events).toEqual([{ key, isPresent: true }]);
});

test("a sender that takes over announces the difference, but gives up no key before all workers are known", () => {
  const announced = new Set([topicKey("stays"), topicKey("ended")]);
  const due: Key[] = [];
  const present = new Set([topicKey("stays"), topicKey("new")]);
  let now = 0;
  const held = new HeldChanges(
    { isPresent: (key) => present.has(key), onDue: (key) => due.push(key), now: () => now },
    announced,
  );

  held.onPresence(topicKey("stays"), true);
  held.onPresence(topicKey("new"), true);
  now += 60_000;
  held.expire();
  expect(due).toEqual([topicKey("new")]);

  held.settle();
  now += HOLD_MS;
  held.expire();
  expect(due).toEqual([topicKey("new"), topicKey("ended")]);
  expect(due.map((key) => held.announce(key))).toEqual(["present", "absent"]);
  expect(held.announce(topicKey("new"))).toBeUndefined();
});

test("a key that is announced early is given up if no worker gets it", () => {
  const due: Key[] = [];
  let isPresent = false;
  let now = 0;
  const parts = { isPresent: () => isPresent, onDue: (key: Key) => due.push(key), now: () => now };
  const held = new HeldChanges(parts, new Set());
  held.settle();

  expect(["tkept", "tkept", "tlost"].map((key) => held.announceEarly(key))).toEqual([true, false, true]);
  held.onPresence("tkept", true);
  now += HOLD_MS;
  held.expire();

  expect(due).toEqual(["tlost"]);
  expect(held.announce("tlost")).toBe("absent");
  isPresent = true;
  expect(held.announceEarly("tlost")).toBe(true);
  expect(held.announce("tlost")).toBeUndefined();
  expect(held.heldKeys).toBe(0);
});

test("facts add and remove topics, members and counts", () => {
  const contribution = newContribution();
  const facts: Fact[] = [
    ...[["occupied", "t1"] as const, ["occupied", "t2"] as const, ["vacated", "t2"] as const],
    ...[["joined", "t1", "anna"] as const, ["joined", "t1", "bob"] as const, ["left", "t1", "bob"] as const],
    ...[["count", "t1", 3] as const, ["count", "t2", 1] as const, ["count", "t2", 0] as const],
  ];

  for (const each of facts) applyFact(contribution, each);

  expect([...contribution.keys]).toEqual([topicKey("t1"), memberKey("t1", "anna")]);
  expect([...contribution.counts]).toEqual([["t1", 3]]);
});

test("keys of topics and members can be parsed and never collide", () => {
  const name = fc.string({ unit: "binary", minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(name, name, (one, other) => {
      expect([topicKey(one), countKey(one)].map(parseKey)).toEqual([{ topic: one }, { topic: one }]);
      expect(parseKey(memberKey(one, other))).toEqual({ topic: one, user: other });
    }),
  );
});
