import { expect, test } from "vitest";
import { everyone, topic } from "../support/durable.ts";
import { startHistory } from "../support/history.ts";
import { append, appended, contents, numbers, pageOf, positionOf, text } from "../support/history-calls.ts";
import { until } from "../support/wait.ts";

test("appended publications have positions and are read in order, page by page", async () => {
  await using opened = await startHistory();
  const { history, subjects } = opened;

  const positions = (await Promise.all(numbers(250).map((n) => append(opened, topic("a.b"), n)))).map(positionOf);
  await appended(opened, everyone, "other");
  const first = pageOf(await history.read({ filter: subjects.historyFilter(topic("a.b")), after: 0, limit: 100 }));
  const second = pageOf(
    await history.read({ filter: subjects.historyFilter(topic("a.b")), after: first.through, limit: 100 }),
  );
  const third = pageOf(
    await history.read({ filter: subjects.historyFilter(topic("a.b")), after: second.through, limit: 100 }),
  );

  expect(positions.map(({ sequence }) => sequence)).toEqual(numbers(250).map((n) => Number(n) + 1));
  expect(new Set(positions.map(({ epoch }) => epoch))).toEqual(new Set([history.epoch]));
  expect([first.isEnd, second.isEnd, third.isEnd]).toEqual([false, false, true]);
  const all = [first, second, third].flatMap(({ publications }) => publications);
  expect(contents(all)).toEqual(numbers(250));
  expect(all.map(({ sequence }) => sequence)).toEqual(positions.map(({ sequence }) => sequence));
  expect(new Set(all.map(({ headers }) => headers?.get("Event")))).toEqual(new Set(["e"]));
  expect(all.every(({ target }) => JSON.stringify(target) === JSON.stringify(topic("a.b")))).toBe(true);
  expect(all.every(({ time }) => Math.abs(time.getTime() - Date.now()) < 60_000)).toBe(true);
  expect(third.history).toEqual({ epoch: history.epoch, firstSequence: 1, lastSequence: 251, maxPerSubject: 1_000 });
});

test("read() by patterns and find() return the matching publications, and leave no consumers behind", async () => {
  await using opened = await startHistory();
  const { history, subjects, bus } = opened;
  const names = ["news.de", "news.fr", "news.de.berlin", "other"];
  for (const round of numbers(10)) for (const name of names) await appended(opened, topic(name), `${name} ${round}`);

  const read = async (pattern: string) =>
    contents(pageOf(await history.read({ filter: subjects.historyFilter(topic(pattern)), after: 0 })).publications);

  expect((await read("news.*")).length).toBe(20);
  expect((await read("news.>")).slice(0, 4)).toEqual(["news.de 0", "news.fr 0", "news.de.berlin 0", "news.de 1"]);
  expect(await read("news.it")).toEqual([]);
  const found = await history.find(3);
  expect(found.ok && found.publication?.target).toEqual(topic("news.de.berlin"));
  expect(await history.find(99)).toEqual({ ok: true, publication: undefined });
  expect(await history.find(0)).toEqual({ ok: true, publication: undefined });
  const last = await history.last(subjects.history(topic("news.fr")));
  expect(last.ok && Buffer.from(last.publication?.content ?? []).toString()).toBe("news.fr 9");
  expect(await history.last(subjects.history(topic("news.it")))).toEqual({ ok: true, publication: undefined });
  await until("no consumer is left", async () => {
    const info = await bus.request("$JS.API.STREAM.INFO.FANWIRE_HISTORY", text(""), { timeoutMs: 1_000 });
    return info.ok && JSON.parse(Buffer.from(info.message.data).toString()).state.consumer_count === 0;
  });
});

test("a page has at most the bytes of the request, and at least one publication", async () => {
  await using opened = await startHistory();
  for (const n of numbers(30)) await appended(opened, everyone, n.repeat(50_000));

  let after = 0;
  const pages: number[] = [];
  for (let isEnd = false; !isEnd; ) {
    const page = pageOf(
      await opened.history.read({ filter: opened.subjects.history(everyone), after, maxBytes: 400_000 }),
    );
    pages.push(page.publications.length);
    after = page.through;
    isEnd = page.isEnd;
  }

  expect(pages.reduce((sum, count) => sum + count)).toBe(30);
  expect(Math.max(...pages)).toBeLessThanOrEqual(9);
});

test("a read without content is one page and does not fetch the content", async () => {
  await using opened = await startHistory();
  const { history, subjects, bus } = opened;
  const size = 200_000;
  for (const n of numbers(40)) await appended(opened, topic(`a.${n}`), "x".repeat(size));

  const { receivedBytes } = bus.traffic();
  const filters = [subjects.allHistory, subjects.historyFilter(topic("a.*"))];
  const pages = [];
  for (const filter of filters) {
    pages.push(pageOf(await history.read({ filter, after: 10, maxBytes: size, withoutContent: true })));
  }

  for (const { publications, isEnd, through } of pages) {
    expect(publications.map(({ sequence }) => sequence)).toEqual(numbers(30).map((n) => Number(n) + 11));
    expect(publications.every(({ content, headers }) => content.length === 0 && headers?.get("Event") === "e")).toBe(
      true,
    );
    expect([isEnd, through]).toEqual([true, 40]);
  }
  expect(bus.traffic().receivedBytes - receivedBytes).toBeLessThan(2 * 10 * size);
});

test("deduplication: an id is stored once for each subject", async () => {
  await using opened = await startHistory();

  const first = await append(opened, topic("a"), "one", "7");
  const again = await append(opened, topic("a"), "two", "7");
  const elsewhere = await append(opened, topic("b"), "three", "7");
  const page = pageOf(await opened.history.read({ filter: opened.subjects.allHistory, after: 0 }));

  const { position } = { position: positionOf(first) };
  expect(first).toEqual({ ok: true, position, duplicate: false });
  expect(again).toEqual({ ok: true, position, duplicate: true });
  expect(elsewhere).toEqual({ ok: true, position: { ...position, sequence: 2 }, duplicate: false });
  expect(contents(page.publications)).toEqual(["one", "three"]);
});

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

test("an aborted read ends", async () => {
  await using opened = await startHistory();

  const read = opened.history.read({
    filter: opened.subjects.allHistory,
    after: 0,
    signal: AbortSignal.abort(new Error("aborted")),
  });

  await expect(read).rejects.toThrow("aborted");
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
