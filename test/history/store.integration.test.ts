import { expect, test } from "vitest";
import { testHistoryContract } from "../support/contracts/history.ts";
import { everyone, topic } from "../support/durable.ts";
import { openHistory, startHistory } from "../support/history.ts";
import { append, appended, contents, numbers, pageOf } from "../support/history-calls.ts";
import { startNats } from "../support/nats.ts";
import { until } from "../support/wait.ts";

testHistoryContract(startHistory);

test("a stored publication is republished with its headers and its sequence", async () => {
  await using opened = await startHistory();
  const received: unknown[] = [];
  opened.bus.subscribe(opened.subjects.allLive, ({ subject, data, headers }) => {
    const names = ["Event", "Nats-Sequence", "Nats-Last-Sequence"];
    received.push([subject, Buffer.from(data).toString(), ...names.map((name) => headers?.get(name))]);
  });

  for (const content of ["x", "y", "z"]) await appended(opened, topic("a.ж"), content);
  await append(opened, everyone, "all", "1");
  await append(opened, everyone, "all", "1");

  await until("all publications arrive", () => received.length === 4);
  const subject = "fanwire.live.topic.a.=D0=B6";
  expect(received).toEqual([
    [subject, "x", "e", "1", "0"],
    [subject, "y", "e", "2", "1"],
    [subject, "z", "e", "3", "2"],
    ["fanwire.live.all", "all", "e", "4", "0"],
  ]);
});

test("a read ends although more is stored whenever it reaches the end", async () => {
  await using opened = await startHistory();
  const { history, subjects, bus } = opened;
  for (const content of numbers(10)) await appended(opened, everyone, content);
  const more: Promise<unknown>[] = [];
  bus.subscribe("$JS.API.CONSUMER.MSG.NEXT.FANWIRE_HISTORY.>", () => more.push(append(opened, everyone, "more")));
  await bus.confirm();

  const page = pageOf(await history.read({ filter: subjects.allHistory, after: 0, limit: 300 }));
  await Promise.all(more);

  expect(page.isEnd).toBe(true);
  expect(contents(page.publications).slice(0, 10)).toEqual(numbers(10));
});

test("everything is read although the server limits the messages for each request", async () => {
  const config = "jetstream: { limits: { max_request_batch: 40 } }";
  await using nats = await startNats([], { config });
  await using opened = await openHistory({ servers: [nats.url] });
  const { history, subjects, bus } = opened;
  await Promise.all(numbers(200).map((n) => append(opened, everyone, n)));
  let consumers = 0;
  bus.subscribe("$JS.API.CONSUMER.CREATE.FANWIRE_HISTORY.>", () => consumers++);
  await bus.confirm();

  const entries: number[] = [];
  const onEntry = ({ sequence }: { readonly sequence: number }) => void entries.push(sequence);
  const consumed = await history.consume(0, { onEntry, hasRoom: () => true, isPatient: () => true });
  if (!consumed.ok) throw new Error(consumed.detail);
  consumed.consumer.resume();
  expect(await consumed.consumer.answered).toBe(true);
  await until("all entries arrive", () => entries.length === 200);
  consumed.consumer.stop();
  const page = pageOf(await history.read({ filter: subjects.allHistory, after: 0 }));

  expect(page.publications.length).toBe(200);
  expect(consumers).toBeLessThan(50);
});
