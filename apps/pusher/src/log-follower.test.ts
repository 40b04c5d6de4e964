import type { Bus, BusMessage, History } from "@fanwire/bus";
import { type DurableTarget, Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { expect, test } from "vitest";
import { KeySequence } from "./core/key-sequence.ts";
import { LogFollower } from "./log-follower.ts";
import type { LogKey } from "./log-repair.ts";
import { newTraffic } from "./traffic.ts";

const subjects = new Subjects();
const keyOf = (target: DurableTarget): LogKey => ({
  key: subjects.live(target),
  isExact: true,
  sequence: new KeySequence(true),
});

/** As the history republishes it: the first of its subject. */
function republished({ key }: LogKey, sequence: number): BusMessage {
  const headers = new Map([["Nats-Sequence", String(sequence)]]);
  const get = (name: string) => headers.get(name) ?? "";
  return { subject: key, data: Buffer.from("x"), headers: { get }, respond: () => false };
}

test("what begins is owed all from where the history ended, whatever comes of something else meanwhile", async () => {
  const [known, fresh] = [keyOf({ kind: "everyone" }), keyOf({ kind: "topic", topic: "fresh" })];
  const log = { epoch: "e", firstSequence: 1, lastSequence: 10, maxPerSubject: 1_000 };
  let answer = () => {};
  const asked = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const follower = new LogFollower<LogKey>({
    bus: {} as Bus,
    history: { state: () => asked.then(() => ({ ok: true, log })) } as unknown as History,
    logger: createLog("test", "silent"),
    subjects,
    traffic: newTraffic(),
    keys: () => [known, fresh],
    keysOf: () => [],
    isFollowed: () => true,
    deliver: () => {},
    broken: () => {},
  });

  const beginning = follower.begin([fresh]);
  follower.receive(known, republished(known, 15));
  answer();

  expect(await beginning).toBe(true);
  expect([follower.lastSequence, fresh.sequence.floor]).toEqual([15, 10]);
  follower.stop();
});
