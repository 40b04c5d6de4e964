import { type NatsBus, startNatsBus } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { identifyProcess } from "@fanwire/service";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { configFor, log, NatsServer, never } from "../testing.ts";
import { WorkerRegistry } from "./worker-registry.ts";

const subjects = new Subjects();
let nats: NatsServer;
let bus: NatsBus;

beforeAll(async () => {
  nats = await NatsServer.run();
  bus = await startNatsBus({ config: configFor(nats).bus, name: "test", log, signal: never });
});
afterAll(async () => {
  await bus.stop();
  await nats[Symbol.asyncDispose]();
});

function openRegistry(workers: () => { readonly id: string; readonly process?: string }[] = () => []) {
  const registry = new WorkerRegistry({ bus, subjects, timeoutMs: 500, call: async () => workers() });
  return Object.assign(registry, { [Symbol.dispose]: () => registry.stop() });
}

const announce = (content: unknown) =>
  bus.publish(subjects.announcements, Buffer.from(typeof content === "string" ? content : JSON.stringify(content)));

test("a worker is here after its announcement and stays ended after it has announced its end", async () => {
  using registry = openRegistry();

  await announce({ worker: "aaaaaaa1", state: "here" });
  await vi.waitUntil(() => registry.stateOf("aaaaaaa1") === "here");
  await announce({ worker: "aaaaaaa1", state: "ended" });
  await vi.waitUntil(() => registry.stateOf("aaaaaaa1") === "ended");
  registry.answered("aaaaaaa1");

  expect(registry.stateOf("aaaaaaa1")).toBe("ended");
  expect(registry.workers).toEqual([]);
  expect(registry.stateOf("neverwas")).toBe("unknown");
});

test("a silent worker stays known, and questions do not wait for it until it answers", () => {
  using registry = openRegistry();

  registry.answered("aaaaaaa1");
  registry.didNotAnswer("aaaaaaa1");
  expect([registry.stateOf("aaaaaaa1"), registry.workers, registry.answering]).toEqual(["here", ["aaaaaaa1"], []]);
  registry.answered("aaaaaaa1");

  expect(registry.answering).toEqual(["aaaaaaa1"]);
});

test("invalid announcements are ignored", async () => {
  using registry = openRegistry();

  for (const content of [
    "",
    "invalid",
    "[]",
    { worker: ">", state: "here" },
    { worker: "aaaaaaa1", state: "no-such-state" },
    {},
  ]) {
    await announce(content);
  }
  await announce({ worker: "bbbbbbb1", state: "here" });
  await vi.waitUntil(() => registry.workers.length > 0);

  expect(registry.workers).toEqual(["bbbbbbb1"]);
});

test("a Workerman worker is known after an answer, and questions do not wait for it", () => {
  using registry = openRegistry();

  registry.answered("7");

  expect([registry.stateOf("7"), registry.stateOf("8"), registry.workers]).toEqual(["here", "unknown", []]);
});

test("the registry is settled some time after all workers have been asked", async () => {
  using registry = openRegistry(() => [{ id: "aaaaaaa1" }]);

  expect(await registry.settle(100)).toBe(false);
  expect(registry.workers).toEqual(["aaaaaaa1"]);
  expect(await registry.settle(5_000)).toBe(true);
});

test("a worker has ended if its process on this machine does not exist; other machines are not checked", () => {
  const own = identifyProcess();
  const ended = own?.replace(/\d+$/, "1");
  using registry = openRegistry();

  for (const [id, process] of [
    ["aaaaaaa1", own],
    ["aaaaaaa2", ended],
    ["aaaaaaa3", "other/1/1"],
  ] as const) {
    registry.answered(id, process);
  }
  registry.findEndedHere();

  expect(registry.stateOf("aaaaaaa1")).toBe("here");
  expect(registry.stateOf("aaaaaaa2")).toBe(own === undefined ? "here" : "ended");
  expect(registry.stateOf("aaaaaaa3")).toBe("here");
});

test("the registry forgets workers over its limit, silent ones first", () => {
  using registry = openRegistry();
  const idOf = (at: number) => `w${String(at).padStart(7, "0")}`;

  registry.answered(idOf(0));
  for (let at = 1; at <= 10_000; at++) {
    registry.answered(idOf(at));
    if (at === 5) registry.didNotAnswer(idOf(at));
  }

  expect(registry.workers).toHaveLength(10_000);
  expect(registry.stateOf(idOf(5))).toBe("unknown");
  expect(registry.stateOf(idOf(0))).toBe("here");
});
