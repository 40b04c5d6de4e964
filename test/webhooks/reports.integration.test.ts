import type { Bus } from "@fanwire/bus";
import { type ClusterEvent, type EventName, Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { expect, test } from "vitest";
import { EventReporter } from "../support/pusher-sources.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { Union, Workers } from "../support/webhooks-sources.ts";

const subjects = new Subjects();
const wanted = new Set<EventName>([
  ...(["topic_occupied", "member_joined", "subscription_count", "client_published"] as const),
]);
const { bus } = useCluster();

/** Repeatable random numbers below `limit`. */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Returns the bus as it is for a worker whose reports are lost while `isLossy` returns true. */
function lossy(isLossy: () => boolean): Bus {
  const publishAll: Bus["publishAll"] = async (publications) =>
    isLossy() ? publications.map(() => ({ ok: true })) : bus.publishAll(publications);
  return new Proxy<Bus>(bus, { get: (all, name: keyof Bus) => (name === "publishAll" ? publishAll : all[name]) });
}

function listen(lastEvents = new Map<string, number>()) {
  const events: ClusterEvent[] = [];
  let snapshots = 0;
  const union = new Union({ onPresence: () => {}, onCount: () => {} });
  const workers = new Workers({
    ...{ bus, subjects, union, lastEvents, log: createLog("test", "silent") },
    onEvent: (_worker, _number, event) => events.push(event),
    onSnapshot: () => snapshots++,
  });
  return { union, workers, events, snapshots: () => snapshots };
}

test("whatever reports are lost, the union becomes the truth, and no event is lost or repeated", async () => {
  const random = randomNumbers(7);
  let isLossy = false;
  const ids = ["aaaaaaa1", "aaaaaaa2", "aaaaaaa3"];
  const reporters = ids.map((workerId) => {
    return new EventReporter({ bus: lossy(() => isLossy && random(2) === 0), subjects, workerId, wanted });
  });
  const { union, workers, events, snapshots } = listen();
  const truth = ids.map(() => ({ keys: new Set<string>(), counts: new Map<string, number>() }));
  let published = 0;

  for (let round = 0; round < 60; round++) {
    isLossy = random(2) === 0;
    for (let change = 0; change < 50; change++) {
      const at = random(ids.length);
      const [reporter, own] = [reporters[at], truth[at]];
      const [topic, user] = [`t${random(40)}`, `u${random(5)}`];
      if (reporter === undefined || own === undefined) continue;
      switch (random(6)) {
        case 0:
          reporter.topicOccupied(topic);
          own.keys.add(`t${topic}`);
          break;
        case 1:
          reporter.topicVacated(topic);
          own.keys.delete(`t${topic}`);
          break;
        case 2:
          reporter.memberJoined(topic, user);
          own.keys.add(`m${topic.length}:${topic}${user}`);
          break;
        case 3:
          reporter.memberLeft(topic, user);
          own.keys.delete(`m${topic.length}:${topic}${user}`);
          break;
        case 4:
          reporter.topicCounted(topic, round % 4);
          own.counts.set(topic, round % 4);
          break;
        default:
          published++;
          reporter.happened({ name: "client_published", topic, data: String(published) });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, random(80)));
  }

  isLossy = false;
  const expected = new Set(truth.flatMap(({ keys }) => [...keys]));
  const topics = Array.from({ length: 40 }, (_, at) => `t${at}`);
  const isTrue = () =>
    [...expected].every((key) => union.has(key)) &&
    topics.every((topic) => {
      const total = truth.reduce((sum, { counts }) => sum + (counts.get(topic) ?? 0), 0);
      const isOccupied = truth.some(({ keys }) => keys.has(`t${topic}`));
      return union.count(topic) === total && union.has(`t${topic}`) === isOccupied;
    });
  await until("the union is the truth", () => isTrue() && events.length === published);
  expect(snapshots()).toBeGreaterThan(ids.length);
  expect(new Set(events.map(({ id }) => id)).size).toBe(published);
  for (const id of ids) {
    const numbers = events.filter((event) => event.id.startsWith(id)).map((event) => Number(event.id.split("-")[1]));
    expect(numbers).toEqual(numbers.map((_, at) => at + 1));
  }

  for (const reporter of reporters) await reporter.stop();
  await until("workers that have ended have nothing", () => [...expected].every((key) => !union.has(key)));
  workers.stop();
});

test("snapshot: a sender that begins later receives the state of a busy worker in pages, and its last events", async () => {
  const reporter = new EventReporter({ bus, subjects, workerId: "aaaaaaa4", wanted });
  for (let at = 0; at < 30_000; at++) reporter.topicOccupied(`a topic with a long name in the middle.${at}`);
  for (const data of ["1", "2", "3"]) reporter.happened({ name: "client_published", topic: "t", data });
  const { union, workers, events } = listen(new Map([["aaaaaaa4", 1]]));
  const churn = setInterval(() => {
    reporter.topicVacated("a topic with a long name in the middle.7");
    reporter.topicOccupied("a topic with a long name in the middle.7");
    reporter.topicOccupied(`late.${performance.now()}`);
  }, 1);

  await until("the last topic is known", () => union.has("ta topic with a long name in the middle.29999"));
  clearInterval(churn);
  reporter.topicOccupied("the end");
  await until("the end is known", () => union.has("tthe end"));
  for (let at = 0; at < 30_000; at++) expect(union.has(`ta topic with a long name in the middle.${at}`)).toBe(true);
  expect(events.map(({ data }) => data)).toEqual(["2", "3"]);
  workers.stop();
  await reporter.stop();
});

test("a hundred thousand topics whose counts change at the same time are all reported", async () => {
  const reporter = new EventReporter({ bus, subjects, workerId: "aaaaaaa6", wanted });
  const { union, workers } = listen();
  reporter.topicCounted("first", 1);
  await until("the worker is known", () => union.count("first") === 1);
  for (let at = 0; at < 100_000; at++) reporter.topicCounted(`counted.${at}`, 2);

  await until("all counts are known", () => union.count("counted.99999") === 2 && union.count("counted.0") === 2);
  workers.stop();
  await reporter.stop();
});

test("requests and reports that nobody sends are ignored", async () => {
  const reporter = new EventReporter({ bus, subjects, workerId: "aaaaaaa5", wanted });
  const { union, workers } = listen();
  for (const text of ["", "{", "[]", "null", '{"id":7}', '{"from":-1}', '{"id":"none","from":3}']) {
    const outcome = await bus.request(subjects.snapshots("aaaaaaa5"), Buffer.from(text), { timeoutMs: 5_000 });
    expect(outcome.ok).toBe(true);
  }
  for (const report of [
    ...["", "{}", "null", '{"worker":"aaaaaaa5"}', '{"worker":"../x","number":1,"facts":[]}'],
    '{"worker":"aaaaaaa5","number":1,"facts":[["occupied"],["joined","t"],["event",1,{}],7,null]}',
  ]) {
    await bus.publish(subjects.reports("aaaaaaa5"), Buffer.from(report));
  }
  reporter.topicOccupied("t");
  await until("the topic is known", () => union.has("tt"));
  workers.stop();
  await reporter.stop();
});
