import { Journal } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
import { expect, test } from "vitest";
import { connectBus } from "../support/bus.ts";
import { startNatsCluster } from "../support/nats-cluster.ts";
import { until } from "../support/wait.ts";

const ENTRIES = 3_000;
const WINDOW = 64;

async function openJournal(servers: readonly string[]) {
  const bus = await connectBus(...servers);
  const limits = { maxAgeMs: 0, maxBytes: -1, maxPerSubject: -1 };
  const stream = { stream: "JOURNAL", subjects: "journal.>", replicas: 3, ...limits };
  const journal = new Journal(bus, stream, createLog("test", "silent"));
  return { bus, journal, [Symbol.asyncDispose]: () => bus.stop() };
}

/** Returns the ends as soon as the journal has a leader. */
function ends(journal: Journal) {
  return until("the journal has a leader", () => journal.open().catch(() => undefined), 60_000);
}

test("a journal has each entry once and in order when its leader is killed while many are on their way", async () => {
  await using cluster = await startNatsCluster();
  await using opened = await openJournal(cluster.urls);
  const { journal, bus } = opened;
  let { lastSequence } = await ends(journal);
  const info = await bus.request("$JS.API.STREAM.INFO.JOURNAL", Buffer.from(""), { timeoutMs: 2_000 });
  const leader = info.ok ? JSON.parse(Buffer.from(info.message.data).toString()).cluster.leader : undefined;
  let killing: Promise<void> | undefined;
  let [next, failures] = [0, 0];

  while (next < ENTRIES) {
    const length = Math.min(WINDOW, ENTRIES - next);
    const first = { number: next, after: lastSequence };
    const append = (at: number) => journal.append("journal.a", String(first.number + at), first.after + at);
    const appends = Array.from({ length }, (_, at) => append(at));
    if (next > ENTRIES / 3) killing ??= cluster.node(leader).stop("SIGKILL");
    const outcomes = await Promise.allSettled(appends);
    failures += outcomes.filter(({ status }) => status === "rejected").length;
    ({ lastSequence } = await ends(journal));
    const last = await until("the last entry", () => journal.read(lastSequence).catch(() => undefined));
    next = Number(Buffer.from(last.content).toString()) + 1;
  }

  await killing;
  expect(lastSequence).toBe(ENTRIES);
  for (let sequence = 1; sequence <= ENTRIES; sequence++) {
    const entry = await journal.read(sequence);
    expect(Buffer.from(entry?.content ?? "").toString()).toBe(String(sequence - 1));
  }
  expect(failures).toBeGreaterThan(0);
});

test("split brain: one of two writers that follow the same sequence succeeds", async () => {
  await using cluster = await startNatsCluster();
  await using one = await openJournal(cluster.urls);
  await using other = await openJournal([...cluster.urls].reverse());
  const { lastSequence } = await ends(one.journal);

  const outcomes = await Promise.allSettled(
    [one, other].flatMap(({ journal }, at) => [
      journal.append("journal.log", `${at}`, lastSequence),
      journal.append("journal.log", `${at} again`, lastSequence + 1),
    ]),
  );
  const stored = outcomes.filter(({ status }) => status === "fulfilled");
  expect(stored.length).toBeGreaterThanOrEqual(1);
  const after = await ends(other.journal);
  expect(after.lastSequence).toBe(lastSequence + stored.length);

  const replaced = await Promise.allSettled(
    [one, other].map(({ journal }) => journal.replace("journal.lease", "x", 0)),
  );
  expect(replaced.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});
