import { expect, test } from "vitest";
import { testHistoryContract } from "../support/contracts/history.ts";
import { everyone, topic } from "../support/durable.ts";
import { startHistory } from "../support/history.ts";
import { append, appended, contents, numbers, pageOf } from "../support/history-calls.ts";
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
