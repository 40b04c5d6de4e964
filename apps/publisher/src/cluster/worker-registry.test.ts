import { type NatsBus, parseJson } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { identifyProcess } from "@fanwire/service";
import { expect, onTestFinished, test, vi } from "vitest";
import { log, type NatsServer, useBus } from "../testing.ts";
import { ClusterCounters } from "./counters.ts";
import { ReceiptCollector } from "./receipt-collector.ts";
import { WorkerRegistry } from "./worker-registry.ts";

const subjects = new Subjects();
let nats: NatsServer;
let bus: NatsBus;

useBus((started, on) => {
  bus = started;
  nats = on;
});

/** Opens the registry of a test. These workers answer its call. */
function openRegistry(workers: readonly string[] = [], timeoutMs = 500): WorkerRegistry {
  const registry = new WorkerRegistry({ bus, subjects, timeoutMs, call: async () => workers.map((id) => ({ id })) });
  onTestFinished(() => registry.stop());
  return registry;
}

const announce = (content: unknown) =>
  bus.publish(subjects.announcements, Buffer.from(typeof content === "string" ? content : JSON.stringify(content)));

test("a worker is here after its announcement and stays ended after it has announced its end", async () => {
  const registry = openRegistry();

  await announce({ worker: "aaaaaaa1", state: "here" });
  await vi.waitUntil(() => registry.stateOf("aaaaaaa1") === "known");
  await announce({ worker: "aaaaaaa1", state: "ended" });
  await vi.waitUntil(() => registry.stateOf("aaaaaaa1") === "ended");
  registry.seen("aaaaaaa1");

  expect(registry.stateOf("aaaaaaa1")).toBe("ended");
  expect(registry.workers).toEqual([]);
  expect(registry.stateOf("neverwas")).toBe("unknown");
});

test("a silent worker stays known, and questions do not wait for it until it answers", () => {
  const registry = openRegistry();

  registry.seen("aaaaaaa1");
  registry.didNotAnswer("aaaaaaa1");
  expect([registry.stateOf("aaaaaaa1"), registry.workers, registry.answering]).toEqual(["known", ["aaaaaaa1"], []]);
  registry.seen("aaaaaaa1");

  expect(registry.answering).toEqual(["aaaaaaa1"]);
});

test("invalid announcements are ignored", async () => {
  const registry = openRegistry();

  const wrong = [{}, { worker: ">", state: "here" }, { worker: "aaaaaaa1", state: "no-such-state" }];
  for (const content of ["", "invalid", "[]", ...wrong]) await announce(content);
  await announce({ worker: "bbbbbbb1", state: "here" });
  await vi.waitUntil(() => registry.workers.length > 0);

  expect(registry.workers).toEqual(["bbbbbbb1"]);
});

test("a Workerman worker is known after an answer, and questions do not wait for it", () => {
  const registry = openRegistry();

  registry.seen("7");

  expect([registry.stateOf("7"), registry.stateOf("8"), registry.workers]).toEqual(["known", "unknown", []]);
});

test("the registry is settled some time after all workers have been asked", async () => {
  const registry = openRegistry(["aaaaaaa1"]);

  expect(await registry.settle(100)).toBe(false);
  expect(registry.workers).toEqual(["aaaaaaa1"]);
  expect(await registry.settle(2_500)).toBe(true);
});

/** Answers control commands as a worker does, until the end of the test. */
function answerAsWorker(reply: () => object, commands = ["recall-workers"]) {
  const subscription = bus.subscribe(subjects.allWorkers, (message) => {
    if (commands.includes(String((parseJson(message) as { command?: unknown }).command)))
      message.respond(JSON.stringify(reply()));
  });
  onTestFinished(() => subscription.unsubscribe());
  return subscription;
}

test("the registry does not know all workers before another one has returned which it remembers", async () => {
  let isComplete = false;
  const workers = [{ id: "bbbbbbb1", silentMs: 5 }];
  answerAsWorker(() => ({ worker: "aaaaaaa1", workers, isComplete }));
  const registry = openRegistry(["aaaaaaa1"]);

  expect(await registry.settle(2_500)).toBe(true);
  expect([registry.isSettled, registry.knowsAll]).toEqual([true, false]);
  isComplete = true;
  await registry.settle(5_000);

  expect([registry.knowsAll, registry.stateOf("bbbbbbb1"), registry.answering]).toEqual([true, "known", ["aaaaaaa1"]]);
});

test("a silent worker is asked what it remembers when it answers again, and until then nobody knows all workers", async () => {
  const [settled, silent, lost] = ["aaaaaaa1", "bbbbbbb1", "ccccccc1"];
  let answer = { worker: settled, workers: [{ id: silent, silentMs: 5 }], isComplete: true };
  answerAsWorker(() => answer);
  const registry = openRegistry([settled]);
  await registry.settle(5_000);
  expect([registry.knowsAll, registry.stateOf(lost)]).toEqual([true, "unknown"]);

  answer = { worker: silent, workers: [{ id: lost, silentMs: 5 }], isComplete: false };
  registry.seen(silent);
  expect(registry.knowsAll).toBe(false);
  await registry.settle(5_000);

  expect([registry.knowsAll, registry.stateOf(lost)]).toEqual([true, "known"]);
});

test("a worker that misses the question, because it reconnects, is asked again soon", async () => {
  let questions = 0;
  // A reply that is not one to this question: nothing is known from it.
  const unheard = answerAsWorker(() => ({ questions: ++questions }));
  const registry = openRegistry(["aaaaaaa1"], 60_000);
  const settled = registry.settle(5_000);
  await vi.waitUntil(() => questions > 0);
  unheard.unsubscribe();
  answerAsWorker(() => ({ worker: "aaaaaaa1", workers: [], isComplete: true }));

  expect(await settled).toBe(true);
  expect(registry.knowsAll).toBe(true);
});

test("a worker of an earlier version, which cannot return others, is believed; without any worker nobody is waited for", async () => {
  answerAsWorker(() => ({ error: "invalid control request" }));
  const registry = openRegistry(["aaaaaaa1"]);
  const lonely = openRegistry();

  await Promise.all([registry.settle(10_000), lonely.settle(10_000)]);

  expect([registry.knowsAll, lonely.isSettled, lonely.knowsAll]).toEqual([true, true, false]);
});

test("a worker has ended if its process on this machine does not exist; other machines are not checked", () => {
  const own = identifyProcess();
  const registry = openRegistry();

  registry.seen("aaaaaaa1", own);
  registry.seen("aaaaaaa2", own?.replace(/\d+$/, "1"));
  registry.seen("aaaaaaa3", "other/1/1");
  registry.findEndedOnThisMachine();

  expect(registry.stateOf("aaaaaaa1")).toBe("known");
  expect(registry.stateOf("aaaaaaa2")).toBe(own === undefined ? "known" : "ended");
  expect(registry.stateOf("aaaaaaa3")).toBe("known");
});

test("a worker that another one recalls is silent since its last message, and forgotten after five minutes", async () => {
  const registry = openRegistry();

  registry.recalled("aaaaaaa1", { silentMs: 301_000 });
  registry.recalled("aaaaaaa2", { silentMs: 1_000 });
  await vi.waitUntil(() => registry.isSettled, { timeout: 20_000 });

  expect(registry.workers).toEqual(["aaaaaaa2"]);
});

test("the registry forgets workers over its limit, those with an unanswered question first", () => {
  const registry = openRegistry();
  const idOf = (at: number) => `w${String(at).padStart(7, "0")}`;

  registry.seen(idOf(0));
  for (let at = 1; at <= 10_000; at++) {
    registry.seen(idOf(at));
    if (at === 3 || at === 5) registry.didNotAnswer(idOf(at));
    if (at === 4) registry.seen(idOf(3));
  }

  expect(registry.workers).toHaveLength(10_000);
  expect(registry.stateOf(idOf(5))).toBe("unknown");
  expect([0, 3].map((at) => registry.stateOf(idOf(at)))).toEqual(["known", "known"]);
});

/** Collects receipts from one worker, which answers at once. */
function openReceipts() {
  const worker = "aaaaaaa1";
  const reply = { worker, workers: [], isComplete: true, delivered: 0, buffered: 0, isFinal: true };
  answerAsWorker(() => reply, ["recall-workers", "receipt"]);
  const registry = openRegistry([worker]);
  const counters = new ClusterCounters();
  return { registry, receipts: new ReceiptCollector({ bus, subjects, registry, timeoutMs: 500, counters, log }) };
}

test("a receipt is not complete without a worker that became known after the publication, and ended without an answer", async () => {
  const { registry, receipts } = openReceipts();
  await registry.settle(5_000);
  registry.ended("endedbe4");
  const before = receipts.begin();

  registry.seen("unknown1");
  registry.ended("unknown1");

  expect(await receipts.gather("a", [], before)).toMatchObject({ missing: 1, complete: false });
  expect(await receipts.gather("b", [], receipts.begin())).toMatchObject({ missing: 0, complete: true });
});

test("a receipt is not complete after a reconnect, when the question may have overtaken the publications", async () => {
  const { registry, receipts } = openReceipts();
  const before = receipts.begin();
  await nats.stop();
  await nats.start();
  await vi.waitUntil(() => registry.isSettled, { timeout: 20_000 });
  await registry.settle(5_000);

  expect(await receipts.gather("a", [], before)).toMatchObject({ missing: 0, complete: false });
  expect(await receipts.gather("b", [], receipts.begin())).toMatchObject({ missing: 0, complete: true });
});
