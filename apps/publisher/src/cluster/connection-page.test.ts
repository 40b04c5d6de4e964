import fc from "fast-check";
import { expect, test } from "vitest";
import { userPageOf } from "./connection-page.ts";

const described = (worker: string, connectionId: number) => ({
  address: `${worker}.${connectionId}`,
  protocol: "raw" as const,
  topics: [],
  remoteAddress: "127.0.0.1",
  openedAt: "2026-01-01T00:00:00.000Z",
  unsentBytes: 0,
});

test("the pages have each connection of each worker once, sorted by address, for any page sizes", () => {
  const counts = fc.array(fc.nat(12), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(counts, fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 5 }), (sizes, limit, ofWorker) => {
      const all = sizes.map((size, at) => ({
        worker: `worker0${at}`,
        ids: Array.from({ length: size }, (_, id) => id + 1),
      }));
      /** Answers as workers do, with at most `limit` connections and at most what fits into a reply. */
      const ask = (after: string | undefined) =>
        all.toReversed().map(({ worker, ids }) => {
          const [last, id] = after?.split(".") ?? ["", "0"];
          const wanted = ids.filter((each) => worker > (last ?? "") || (worker === last && each > Number(id)));
          const page = wanted.slice(0, Math.min(limit, ofWorker));
          const connections = page.map((each) => described(worker, each));
          return { worker, count: ids.length, connections, hasMore: page.length < wanted.length };
        });

      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = userPageOf(ask(after), limit);
        expect(page.count).toBe(sizes.reduce((sum, size) => sum + size, 0));
        expect(page.connections.length).toBeLessThanOrEqual(limit);
        seen.push(...page.connections.map(({ address }) => address));
        after = page.next;
      } while (after !== undefined);

      expect(seen).toEqual(all.flatMap(({ worker, ids }) => ids.map((id) => `${worker}.${id}`)));
    }),
  );
});
