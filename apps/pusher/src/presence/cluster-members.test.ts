import { setImmediate as nextTick } from "node:timers/promises";
import type { Bus, BusMessage } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { expect, onTestFinished, test } from "vitest";
import { ClusterMembers } from "./cluster-members.ts";
import type { PresentTopic } from "./present-topic.ts";

const OTHERS = ["bbbbbbbb", "cccccccc"];
const TOPICS = 1_000;
const subjects = new Subjects();

/** Topics whose members are known. Counts how many were looked at. */
class CountedTopics extends Map<string, PresentTopic> {
  looks = 0;

  override *values(): MapIterator<PresentTopic> {
    for (const topic of super.values()) {
      this.looks++;
      yield topic;
    }
  }
}

/** A worker that knows other workers, and has topics since. */
async function openWorker() {
  const receivers = new Map<string, (message: BusMessage) => void>();
  const connectionListeners: ((isConnected: boolean) => void)[] = [];
  const asked: string[] = [];
  const bus = {
    subscribe: (subject: string, receiver: (message: BusMessage) => void) => void receivers.set(subject, receiver),
    onConnection: (listener: (isConnected: boolean) => void) => void connectionListeners.push(listener),
    maxPayloadBytes: () => 1_048_576,
    send: (subject: string, data: Uint8Array) => {
      const { kind, id, topics } = JSON.parse(Buffer.from(data).toString());
      if (kind !== "ask") return;
      const worker = subject.split(".").at(-1) ?? "";
      asked.push(...topics.map((topic: string) => `${topic} of ${worker}`));
      const answer = { kind: "answer", worker, id, clock: 1, snapshots: [], isLast: true };
      setImmediate(() => receive(subjects.presenceWorker("aaaaaaaa"), answer));
    },
  };
  const receive = (subject: string, notice: object) =>
    receivers.get(subject)?.({ subject, data: Buffer.from(JSON.stringify(notice)), respond: () => false });
  const topics = new CountedTopics();
  const members = new ClusterMembers({
    bus: bus as unknown as Bus,
    subjects,
    workerId: "aaaaaaaa",
    log: {} as Log,
    topics,
    onLoaded() {},
    onFenced() {},
  });
  onTestFinished(() => members.stop());
  for (const worker of OTHERS) receive(subjects.presenceWorkers, { kind: "beat", worker, beat: 1, topics: 1 });
  await nextTick();
  const add = (name: string, view: Pick<PresentTopic["view"], "counterOf" | "drop">) =>
    topics.set(name, { name, isLoaded: true, view, awaited: new Set() } as unknown as PresentTopic);
  for (let at = 0; at < TOPICS; at++) add(`topic-${at}`, { counterOf: () => undefined, drop() {} });
  const reconnect = () => {
    for (const listener of connectionListeners) listener(true);
  };
  return { topics, add, asked, receive, reconnect };
}

test("after a reconnection a worker asks all others for all topics, and not in the tick of the reconnection", async () => {
  const { topics, asked, reconnect } = await openWorker();
  topics.looks = 0;

  reconnect();

  expect(topics.looks).toBe(0);
  await expect.poll(() => asked.length).toBe(OTHERS.length * TOPICS);
  expect(new Set(asked).size).toBe(OTHERS.length * TOPICS);
});

test("a worker that ends while the questions to it are collected is not asked", async () => {
  const { asked, receive, reconnect } = await openWorker();

  reconnect();
  receive(subjects.presenceWorkers, { kind: "end", worker: "bbbbbbbb" });
  await expect.poll(() => asked.length).toBe(TOPICS);

  expect(asked.every((each) => each.endsWith("cccccccc"))).toBe(true);
});

test("users of a worker that becomes empty again, while they are removed, are removed from all topics", async () => {
  const { add, receive } = await openWorker();
  const present = new Set(["first"]);
  const left: string[] = [];
  const becomeEmpty = (beat: number) =>
    receive(subjects.presenceWorkers, { kind: "beat", worker: "bbbbbbbb", beat, topics: 0 });
  const addTopic = (name: string, onDrop = () => {}) => {
    const drop = () => {
      present.delete(name);
      left.push(name);
      onDrop();
    };
    add(name, { counterOf: () => (present.has(name) ? 1 : undefined), drop });
  };
  addTopic("first", () => {
    present.add("second");
    // The number of this beat shows that others were lost, for example that of the users on the second topic.
    becomeEmpty(9);
  });
  addTopic("second");

  becomeEmpty(2);
  await expect.poll(() => left).toEqual(["first", "second"]);
});
