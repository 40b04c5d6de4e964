import { setTimeout as delay } from "node:timers/promises";
import type { AppendOutcome } from "@fanwire/bus";
import { expect, test } from "vitest";
import { topic } from "../support/durable.ts";
import { killHistoryLeader, openHistory } from "../support/history.ts";
import { append, appended, contents, replay } from "../support/history-calls.ts";
import { startNatsCluster } from "../support/nats-cluster.ts";
import { until } from "../support/wait.ts";

test("leader election: every acknowledged publication is stored once when the leader of the history is killed, and appends continue", async () => {
  await using cluster = await startNatsCluster();
  await using opened = await openHistory({ servers: cluster.urls, config: { replicas: 3, maxPerSubject: 100_000 } });
  const { epoch } = await appended(opened, topic("orders"), "first");
  const storedContents = async () =>
    contents((await replay(opened, topic("orders"), { epoch, sequence: 0 })).publications);

  const outcomes = new Map<string, AppendOutcome>();
  const pending: Promise<void>[] = [];
  const startedAt = performance.now();
  const acknowledgedAt: number[] = [];
  let isEnough = false;
  const load = (async () => {
    for (let n = 0; !isEnough; n++) {
      const content = `n${n}`;
      const appending = append(opened, topic("orders"), content, n % 2 === 0 ? `id${n}` : undefined);
      pending.push(
        appending.then((outcome) => {
          outcomes.set(content, outcome);
          if (outcome.ok) acknowledgedAt.push(performance.now() - startedAt);
        }),
      );
      await delay(5); // sets the rate of the load
    }
  })();
  await until("some publications are stored", () => acknowledgedAt.length > 100);
  const killed = await killHistoryLeader(cluster, opened.bus);
  const acknowledgedBefore = acknowledgedAt.length;
  await until("appends continue", () => acknowledgedAt.length > acknowledgedBefore + 100);
  isEnough = true;
  await load;
  await Promise.all(pending);

  const acknowledged = [...outcomes].flatMap(([content, outcome]) => (outcome.ok ? [content] : []));
  const stored = await storedContents();
  const refused = [...outcomes.values()].flatMap((outcome) => (outcome.ok ? [] : [outcome.reason]));
  const gapsMs = acknowledgedAt.slice(1).map((at, index) => at - (acknowledgedAt[index] ?? at));
  expect(new Set(stored).size).toBe(stored.length);
  expect(acknowledged.filter((content) => !stored.includes(content))).toEqual([]);
  expect(Math.max(...gapsMs)).toBeLessThan(12_000);
  // On a slow machine an election may take longer than the deadline of an append.
  expect(refused.filter((reason) => reason !== "unconfirmed" && reason !== "unusable")).toEqual([]);
  expect([...outcomes.values()].filter((outcome) => outcome.ok && outcome.position.epoch !== epoch)).toEqual([]);

  await cluster.node(killed).restart();
  expect((await storedContents()).length).toBe(stored.length);
});
