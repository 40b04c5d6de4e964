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

const announce = (said: unknown) =>
  bus.publish(subjects.announcements, Buffer.from(typeof said === "string" ? said : JSON.stringify(said)));

test("a worker is here from its announcement on, and has ended when it says so, whatever comes later", async () => {
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

test("a worker that does not answer stays here, and is not waited for until it does", () => {
  using registry = openRegistry();

  registry.answered("aaaaaaa1");
  registry.didNotAnswer("aaaaaaa1");
  expect([registry.stateOf("aaaaaaa1"), registry.workers, registry.answering]).toEqual(["here", ["aaaaaaa1"], []]);
  registry.answered("aaaaaaa1");

  expect(registry.answering).toEqual(["aaaaaaa1"]);
});

test("what is no announcement is passed over, and names no worker", async () => {
  using registry = openRegistry();

  for (const said of [
    "",
    "nonsense",
    "[]",
    { worker: ">", state: "here" },
    { worker: "aaaaaaa1", state: "gone" },
    {},
  ]) {
    await announce(said);
  }
  await announce({ worker: "bbbbbbb1", state: "here" });
  await vi.waitUntil(() => registry.workers.length > 0);

  expect(registry.workers).toEqual(["bbbbbbb1"]);
});

test("a Workerman worker is here after it answered, and nobody waits for it", () => {
  using registry = openRegistry();

  registry.answered("7");

  expect([registry.stateOf("7"), registry.stateOf("8"), registry.workers]).toEqual(["here", "unknown", []]);
});

test("it is settled when all have been asked since NATS is there, and for a while: not at once", async () => {
  using registry = openRegistry(() => [{ id: "aaaaaaa1" }]);

  expect(await registry.settle(100)).toBe(false);
  expect(registry.workers).toEqual(["aaaaaaa1"]);
  expect(await registry.settle(5_000)).toBe(true);
});

test("a process of this machine that does not exist has ended, one of another machine is not known", () => {
  const own = identifyProcess();
  const gone = own?.replace(/\d+$/, "1");
  using registry = openRegistry();

  for (const [id, process] of [
    ["aaaaaaa1", own],
    ["aaaaaaa2", gone],
    ["aaaaaaa3", "other/1/1"],
  ] as const) {
    registry.answered(id, process);
  }
  registry.findEndedHere();

  expect(registry.stateOf("aaaaaaa1")).toBe("here");
  expect(registry.stateOf("aaaaaaa2")).toBe(own === undefined ? "here" : "ended");
  expect(registry.stateOf("aaaaaaa3")).toBe("here");
});

test("any number of workers is remembered, within a bound", () => {
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
