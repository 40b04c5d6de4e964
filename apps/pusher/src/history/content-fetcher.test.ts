import { setTimeout as delay } from "node:timers/promises";
import type { BusMessage, History, StoredPublication } from "@fanwire/bus";
import { Subjects, streamHeaderNames } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { expect, test } from "vitest";
import { busMessage } from "../bus-message.testing.ts";
import { newCounters } from "../connections/counters.ts";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { Arrivals } from "./arrivals.ts";
import { ContentFetcher } from "./content-fetcher.ts";
import type { QueuedEntry } from "./entry-queue.ts";

const subjects = new Subjects();
const SEQUENCE = 7;
const subjectOf = (topic: string) => subjects.history({ kind: "topic", topic });
const entry: QueuedEntry = {
  sequence: SEQUENCE,
  subject: subjectOf("a"),
  bytes: 3,
  droppedUpTo: SEQUENCE - 1,
  queuedAt: 0,
  isGapReported: false,
  isMissing: false,
};

type Stored = { readonly topic: string; readonly content: string };

/** Delivers the entry as soon as its content was fetched, first from what a replica holds in its place, then from what the leader holds. */
function fetching(replica: Stored | undefined, leader: () => Stored | undefined): Promise<string> {
  const history: Pick<History, "get" | "find"> = {
    get: async () => {
      await delay(1);
      return replica && directly(replica);
    },
    find: async () => {
      const found = leader();
      const publication = found && { subject: subjectOf(found.topic), content: Buffer.from(found.content) };
      return { ok: true, publication: publication as StoredPublication | undefined };
    },
  };
  const arrivals = new Arrivals(new MemoryBudget(1_000_000));
  const parts = { history, subjects, counters: newCounters(), log: createLog("test", "silent"), arrivals };
  return new Promise<string>((resolve) => {
    const fetcher = new ContentFetcher({ ...parts, isDue: () => true, onFetched: () => deliver() });
    const deliver = () => {
      const content = arrivals.take(entry);
      if (content === undefined) fetcher.fetchAhead([entry], 0, () => true);
      else resolve(Buffer.from(content.data).toString());
    };
    deliver();
  });
}

function directly({ topic, content }: Stored): BusMessage {
  return busMessage(content, {
    [streamHeaderNames.stream]: subjects.historyStream,
    [streamHeaderNames.sequence]: String(SEQUENCE),
    [streamHeaderNames.subject]: subjectOf(topic),
  });
}

const own = { topic: "a", content: "own" };

test.each([
  ["another topic", { topic: "b", content: "new" }],
  ["another size", { topic: "a", content: "other" }],
])("content of %s that has the sequence of an entry now is not delivered as the entry", async (_, other) => {
  const answers = [other];

  const content = await fetching(other, () => answers.shift() ?? own);

  expect(content).toBe("own");
});

test("content comes from any replica", async () => {
  expect(await fetching(own, () => undefined)).toBe("own");
});
