import type { BusyPlace } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { busyPageOf, parsePlace, userPageOf } from "./connection-page.ts";

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

test("pages in the order of unsent bytes have each connection once, although some have closed", () => {
  const connection = fc.record({ unsentBytes: fc.nat(2), topics: fc.nat(2), isOpen: fc.boolean() });
  const workers = fc.array(fc.array(connection, { maxLength: 12 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(workers, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 4 }), (sizes, limit, ofWorker) => {
      const all = sizes.map((connections, at) =>
        connections
          .map((each, id) => ({ isOpen: each.isOpen, ...placeOf(each, `worker0${at}.${id + 1}`) }))
          .sort(byPlace),
      );
      /** Answers as workers do: the first after a place, without those that have closed since they were found. */
      const ask = (after: BusyPlace | undefined) =>
        all.toReversed().map((places) => {
          const wanted = places.filter((place) => after === undefined || byPlace(place, after) > 0);
          const found = wanted.slice(0, Math.min(limit, ofWorker));
          const open = found.filter(({ isOpen }) => isOpen);
          const end = found.at(-1);
          return {
            connections: open.map(({ address }) => ({ ...described("w", 1), address })),
            places: open,
            ...(found.length < wanted.length && end && { end }),
          };
        });

      const seen: string[] = [];
      let next: string | undefined;
      do {
        const page = busyPageOf(ask(next === undefined ? undefined : parsePlace(next)), limit);
        expect(page.connections.length).toBeLessThanOrEqual(limit);
        seen.push(...page.connections.map(({ address }) => address));
        next = page.next;
      } while (next !== undefined);

      const open = all.flat().filter(({ isOpen }) => isOpen);
      expect(seen).toEqual(open.sort(byPlace).map(({ address }) => address));
    }),
  );
});

test.each([
  "",
  "1",
  "1-2",
  "1-2-",
  "-1-2-a.1",
  "1-2-a.1-",
  "1-2-A.1",
  "1e3-2-aaaaaaaa.1",
  "1-2-zz.1",
  "1-2-aaaaaaaa.0",
  "1-2-aaaaaaaa.1\n",
])("%j is no place", (text) => {
  expect(parsePlace(text)).toBeUndefined();
});

function placeOf({ unsentBytes, topics }: Omit<BusyPlace, "address">, address: string): BusyPlace {
  return { unsentBytes, topics, address };
}

/** Addresses of this test have ids of up to two digits. */
function byPlace(one: BusyPlace, other: BusyPlace): number {
  const [address, otherAddress] = [one, other].map((place) => place.address.replace(/\.(\d)$/, ".0$1"));
  return (
    other.unsentBytes - one.unsentBytes ||
    other.topics - one.topics ||
    (address === otherAddress ? 0 : (address ?? "") < (otherAddress ?? "") ? -1 : 1)
  );
}
