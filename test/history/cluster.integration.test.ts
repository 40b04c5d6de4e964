import { setTimeout as delay } from "node:timers/promises";
import type { AppendOutcome } from "@fanwire/bus";
import { expect, test } from "vitest";
import { openHistory, type TestHistory } from "../support/history.ts";
import { startNatsCluster } from "../support/nats-cluster.ts";
import { until } from "../support/wait.ts";

/** Returns the node that leads the stream of the history. */
async function leaderOf({ bus, subjects }: TestHistory): Promise<string | undefined> {
  const answer = await bus.request(`$JS.API.STREAM.INFO.${subjects.historyStream}`, Buffer.from(""), {
    timeoutMs: 1_000,
  });
  return answer.ok ? JSON.parse(Buffer.from(answer.message.data).toString()).cluster?.leader : undefined;
}

/** Returns the contents of all stored publications. */
async function storedContents({ history, subjects }: TestHistory): Promise<string[]> {
  const contents: string[] = [];
  for (let after = 0; ; ) {
    const page = await history.read({ filter: subjects.allHistory, after, limit: 1_000 });
    if (!page.ok) throw new Error(`${page.reason}: ${page.detail}`);
    contents.push(...page.publications.map(({ content }) => Buffer.from(content).toString()));
    if (page.isEnd) return contents;
    after = page.through;
  }
}

test("leader election: every acknowledged publication is stored once when the leader of the history is killed, and appends continue", async () => {
  await using cluster = await startNatsCluster();
  await using opened = await openHistory({ servers: cluster.urls, config: { replicas: 3, maxPerSubject: 100_000 } });
  const { history, subjects } = opened;
  const subject = subjects.history({ kind: "topic", topic: "orders" });
  expect(await history.append(subject, Buffer.from("first"))).toMatchObject({ ok: true });
  const epoch = history.epoch;

  const outcomes = new Map<string, AppendOutcome>();
  const pending: Promise<void>[] = [];
  const startedAt = performance.now();
  const acknowledgedAt: number[] = [];
  let isEnough = false;
  const appending = (async () => {
    for (let n = 0; !isEnough; n++) {
      const content = `n${n}`;
      const appended = history.append(subject, Buffer.from(content), [], n % 2 === 0 ? `id${n}` : undefined);
      pending.push(
        appended.then((outcome) => {
          outcomes.set(content, outcome);
          if (outcome.ok) acknowledgedAt.push(performance.now() - startedAt);
        }),
      );
      await delay(5); // sets the rate of the load
    }
  })();
  await until("some publications are stored", () => acknowledgedAt.length > 100);
  const leader = await until("the history has a leader", () => leaderOf(opened));
  await cluster.node(leader).stop("SIGKILL");
  await until("another node leads", async () => {
    const next = await leaderOf(opened);
    return next !== undefined && next !== leader;
  });
  const acknowledgedBefore = acknowledgedAt.length;
  await until("appends continue", () => acknowledgedAt.length > acknowledgedBefore + 100);
  isEnough = true;
  await appending;
  await Promise.all(pending);

  const acknowledged = [...outcomes].flatMap(([content, outcome]) => (outcome.ok ? [content] : []));
  const stored = await storedContents(opened);
  const refused = [...outcomes.values()].flatMap((outcome) => (outcome.ok ? [] : [outcome.reason]));
  const gapsMs = acknowledgedAt.slice(1).map((at, index) => at - (acknowledgedAt[index] ?? at));
  expect(new Set(stored).size).toBe(stored.length);
  expect(acknowledged.filter((content) => !stored.includes(content))).toEqual([]);
  expect(Math.max(...gapsMs)).toBeLessThan(12_000);
  // On a slow machine an election may take longer than the deadline of an append.
  expect(refused.filter((reason) => reason !== "unconfirmed" && reason !== "unusable")).toEqual([]);
  expect([...outcomes.values()].filter((outcome) => outcome.ok && outcome.position.epoch !== epoch)).toEqual([]);

  await cluster.node(leader).restart();
  expect((await storedContents(opened)).length).toBe(stored.length);
});
