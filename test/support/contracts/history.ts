import type { HistoryConfig } from "@fanwire/bus";
import { formatPosition, type Position } from "@fanwire/protocol";
import { describe, expect, test } from "vitest";
import { everyone, topic } from "../durable.ts";
import {
  append,
  appended,
  contents,
  numbers,
  type OpenedHistory,
  pageOf,
  positionOf,
  replay,
} from "../history-calls.ts";
import { askStream } from "../jetstream.ts";
import { until } from "../wait.ts";

/** Tests what every {@link History} must do. `start` creates an empty one with these limits. */
export function testHistoryContract(
  start: (config?: Partial<HistoryConfig>) => Promise<OpenedHistory & AsyncDisposable>,
): void {
  describe("the contract of a history", () => {
    test("appended publications have positions and are read in order, page by page", async () => {
      await using opened = await start();
      const { history, subjects } = opened;

      const positions = (await Promise.all(numbers(250).map((n) => append(opened, topic("a.b"), n)))).map(positionOf);
      await appended(opened, everyone, "other");
      const filter = subjects.historyFilter(topic("a.b"));
      const readAfter = async (after: number) => pageOf(await history.read({ filter, after, limit: 100 }));
      const first = await readAfter(0);
      const second = await readAfter(first.through);
      const third = await readAfter(second.through);

      expect(positions.map(({ sequence }) => sequence)).toEqual(numbers(250).map((n) => Number(n) + 1));
      expect(new Set(positions.map(({ epoch }) => epoch))).toEqual(new Set([history.epoch]));
      expect([first.isEnd, second.isEnd, third.isEnd]).toEqual([false, false, true]);
      const all = [first, second, third].flatMap(({ publications }) => publications);
      expect(contents(all)).toEqual(numbers(250));
      expect(all.map(({ sequence }) => sequence)).toEqual(positions.map(({ sequence }) => sequence));
      expect(new Set(all.map(({ headers }) => headers?.get("Event")))).toEqual(new Set(["e"]));
      expect(all.every(({ target }) => JSON.stringify(target) === JSON.stringify(topic("a.b")))).toBe(true);
      expect(all.every(({ time }) => Math.abs(time.getTime() - Date.now()) < 60_000)).toBe(true);
      expect(third.history).toEqual({
        epoch: history.epoch,
        firstSequence: 1,
        lastSequence: 251,
        maxPerSubject: 1_000,
      });
    });

    test("describe() returns facts of the stream for people", async () => {
      await using opened = await start({ maxBytes: 1_000_000 });
      const { history } = opened;
      await history.state(); // creates the stream
      const empty = await history.describe();
      const first = await appended(opened, everyone, "first");
      const last = await appended(opened, everyone, "last");

      expect(empty).toMatchObject({ ok: true, stream: { messages: 0, firstPosition: null, maxBytes: 1_000_000 } });
      expect(await history.describe()).toMatchObject({
        ok: true,
        stream: { messages: 2, firstPosition: formatPosition(first), lastPosition: formatPosition(last) },
      });
    });

    test("read() by patterns and find() return the matching publications, and leave no consumers behind", async () => {
      await using opened = await start();
      const { history, subjects, bus } = opened;
      const names = ["news.de", "news.fr", "news.de.berlin", "other"];
      for (const round of numbers(10))
        for (const name of names) await appended(opened, topic(name), `${name} ${round}`);

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
        const { state } = await askStream(bus, "INFO.FANWIRE_HISTORY");
        return state?.consumer_count === 0;
      });
    });

    test("a page has at most the bytes of the request, and at least one publication", async () => {
      await using opened = await start();
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
      await using opened = await start();
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
        expect(
          publications.every(({ content, headers }) => content.length === 0 && headers?.get("Event") === "e"),
        ).toBe(true);
        expect([isEnd, through]).toEqual([true, 40]);
      }
      expect(bus.traffic().receivedBytes - receivedBytes).toBeLessThan(2 * 10 * size);
    });

    test("deduplication: an id is stored once for each subject", async () => {
      await using opened = await start();

      const first = await append(opened, topic("a"), "one", "7");
      const again = await append(opened, topic("a"), "two", "7");
      const elsewhere = await append(opened, topic("b"), "three", "7");
      const page = pageOf(await opened.history.read({ filter: opened.subjects.allHistory, after: 0 }));

      const position = positionOf(first);
      expect(first).toEqual({ ok: true, position, duplicate: false });
      expect(again).toEqual({ ok: true, position, duplicate: true });
      expect(elsewhere).toEqual({ ok: true, position: { ...position, sequence: 2 }, duplicate: false });
      expect(contents(page.publications)).toEqual(["one", "three"]);
    });

    test("an aborted read ends", async () => {
      await using opened = await start();

      const read = opened.history.read({
        filter: opened.subjects.allHistory,
        after: 0,
        signal: AbortSignal.abort(new Error("aborted")),
      });

      await expect(read).rejects.toThrow("aborted");
    });

    test("a read of as many publications as a subject keeps is not complete, a read of fewer is", async () => {
      await using opened = await start({ maxPerSubject: 20 });
      const first = await appended(opened, topic("a"), "first");
      const other = await appended(opened, topic("b"), "other");
      for (const n of numbers(19)) await appended(opened, topic("a"), n);

      expect(await replay(opened, topic("a"), other)).toMatchObject({ isComplete: true });
      expect((await replay(opened, topic("a"), first)).publications.length).toBe(19);
      const last = await appended(opened, topic("a"), "19");
      // The topic is full, and the publication at the position is of another topic, so that a gap cannot be excluded.
      expect(await replay(opened, topic("a"), other)).toMatchObject({ isComplete: false });
      expect(await replay(opened, topic("a"), { ...first, sequence: 0 })).toMatchObject({ isComplete: false });
      expect(await replay(opened, topic("b"), first)).toMatchObject({ isComplete: true });
      expect(await replay(opened, topic("*"), { ...first, sequence: 4 })).toMatchObject({ isComplete: true });
      expect(await replay(opened, topic("a"), last)).toEqual({ publications: [], isComplete: true });
    });

    test("a read is not complete after the history dropped publications by size", async () => {
      await using opened = await start({ maxBytes: 100_000 });
      const positions: Position[] = [];
      for (const n of numbers(30)) positions.push(await appended(opened, topic(n), "x".repeat(10_000)));

      const state = await opened.history.state();
      if (!state.ok) throw new Error(state.detail);
      const { firstSequence } = state.history;
      expect(firstSequence).toBeGreaterThan(20);
      const since = (sequence: number) => ({ epoch: state.history.epoch, sequence });
      expect(await replay(opened, topic("*"), since(firstSequence - 1))).toMatchObject({ isComplete: true });
      expect(await replay(opened, topic("*"), since(firstSequence - 2))).toMatchObject({ isComplete: false });
      expect(await replay(opened, topic("never"), since(1))).toEqual({ publications: [], isComplete: false });
      expect(await replay(opened, topic("never"), since(31))).toMatchObject({ isComplete: false });
    });

    test("a read is not complete after the history dropped publications by age", async () => {
      await using opened = await start({ maxAgeSeconds: 1 });
      const first = await appended(opened, everyone, "1");
      const last = await appended(opened, everyone, "2");

      await until("both have expired", async () => {
        const state = await opened.history.state();
        return state.ok && state.history.firstSequence === 3;
      });

      expect(await replay(opened, everyone, first)).toEqual({ publications: [], isComplete: false });
      expect(await replay(opened, everyone, last)).toEqual({ publications: [], isComplete: true });
    });

    test("an append over max_payload is refused, headers included", async () => {
      await using opened = await start();
      const limit = opened.bus.maxPayloadBytes();

      expect(await append(opened, everyone, "x".repeat(limit))).toMatchObject({ ok: false, reason: "too-large" });
      expect(await appended(opened, everyone, "x".repeat(limit - 200))).toMatchObject({ sequence: 1 });
    });

    test("count() and get() know what is stored, and lostSubjects() what may be lost", async () => {
      await using opened = await start({ maxPerSubject: 3 });
      const { history, subjects } = opened;
      const since = await appended(opened, topic("kept"), "0");
      for (const n of numbers(4)) await appended(opened, topic("full"), n);
      await appended(opened, topic("kept"), "1");

      const [kept, full, never] = ["kept", "full", "never"].map((name) => subjects.history(topic(name)));
      expect(await history.count(kept ?? "")).toEqual({ ok: true, count: 2 });
      expect(await history.count(full ?? "")).toEqual({ ok: true, count: 3 });
      expect(await history.count(never ?? "")).toEqual({ ok: true, count: 0 });
      expect(Buffer.from((await history.get(1))?.data ?? "").toString()).toBe("0");
      expect(await history.get(2)).toBeUndefined();
      expect(await history.lostSubjects(since, 2)).toEqual({ ok: true, subjects: new Set([full]), through: 2 });
      expect(await history.lostSubjects({ ...since, epoch: "other" }, 2)).toMatchObject({ ok: false });
    });

    test("lostSubjects() names what a replica without it skipped, although the leader still stores it", async () => {
      await using opened = await start();
      const { history, subjects } = opened;
      const since = await appended(opened, topic("before"), "0");
      for (const n of numbers(700)) await appended(opened, topic(`skipped.${Number(n) % 3}`), n);
      await appended(opened, topic("after"), "1");

      const skipped = [0, 1, 2].map((n) => subjects.history(topic(`skipped.${n}`)));
      expect(await history.lostSubjects(since, 701)).toMatchObject({ ok: true, subjects: new Set(skipped) });
      expect(await history.lostSubjects(since, 2)).toMatchObject({ ok: true, subjects: new Set(skipped.slice(0, 1)) });
      expect(await history.lostSubjects(since, 703)).toMatchObject({ ok: false });
      // The consumer received sequences 3 and 4, but neither 2 nor 5.
      const ofFirstGap = { ok: true, subjects: new Set(skipped.slice(0, 1)), through: 4 };
      expect(await history.lostSubjects(since, 5, [3, 4])).toEqual(ofFirstGap);
    });

    test("a consumer receives stored and future publications once and in order", async () => {
      await using opened = await start({ maxPerSubject: 3 });
      const { history, subjects } = opened;
      for (const n of numbers(5)) await appended(opened, topic("a"), n);
      const entries: [number, string][] = [];
      let hasRoom = false;
      const started = await history.consume(1, {
        onEntry: ({ sequence, subject }) => entries.push([sequence, subject]),
        hasRoom: () => hasRoom,
        isPatient: () => false,
      });
      if (!started.ok) throw new Error(started.detail);
      started.consumer.resume();
      expect(started.consumer.last).toBe(1);

      hasRoom = true;
      started.consumer.resume();
      await until("the stored publications arrive", () => entries.length === 3);
      await appended(opened, topic("b"), "future");
      await until("the future publication arrives", () => entries.length === 4);
      started.consumer.stop();

      const [a, b] = [subjects.history(topic("a")), subjects.history(topic("b"))];
      expect(entries).toEqual([
        [3, a],
        [4, a],
        [5, a],
        [6, b],
      ]);
    });
  });
}
