import type { BusyPlace } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Connection } from "../connections/connection.ts";
import { finish } from "../pacing/finish.testing.ts";
import { busiestConnections, matches, matchingIds } from "./connection-pages.ts";

const WORKER = "k3v9q0xa";
type Facts = {
  readonly id: number;
  readonly user?: string;
  readonly topics?: readonly string[];
  readonly unsent?: number;
};

function connection({ id, user, topics = [], unsent = 0 }: Facts): Connection {
  const state = { connectionId: id, protocol: { name: "raw" }, grant: { user }, topics: new Set(topics) };
  return {
    getUserData: () => state,
    getBufferedAmount: () => unsent,
    getRemoteAddressAsText: () => Buffer.from(`10.0.0.${id}`),
  } as unknown as Connection; // the members that lists read
}

test.each([
  [{}, [1, 2, 3]],
  [{ user: "anna" }, [1]],
  [{ user: "ann" }, []],
  [{ topic: "news" }, [1, 3]],
  [{ topic: "news.*" }, [3]],
  [{ topic: "new" }, []],
  [{ protocol: "sse" }, []],
  [{ protocol: "raw", topic: "news", user: "anna" }, [1]],
  [{ search: "nn" }, [1]],
  [{ search: "q0xa.2" }, [2]],
  [{ search: "0.0.3" }, [3]],
  [{ search: "news" }, []],
  [{ search: "Anna" }, []],
])("%o matches the connections %o", (filter, ids) => {
  const all = [
    connection({ id: 1, user: "anna", topics: ["news"] }),
    connection({ id: 3, topics: ["news", "news.*"] }),
    connection({ id: 2 }),
  ].map((each) => [each.getUserData().connectionId, each] as const);

  expect(finish(matchingIds(all, (each) => matches(each, filter, WORKER))).result).toEqual(ids);
});

test("pages one after the other have every connection once, those with most unsent bytes and topics first", () => {
  const facts = fc.array(fc.record({ unsent: fc.nat(2), topics: fc.subarray(["a", "b"]) }), { maxLength: 30 });
  fc.assert(
    fc.property(
      facts,
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom("aaaaaaaa", WORKER, "zzzzzzzz"),
      (all, limit, other) => {
        const connections = all.map((each, at) => connection({ id: at + 1, ...each }));
        const unsentBytesOf = (each: Connection) => each.getBufferedAmount();
        const pageAfter = (after: BusyPlace | undefined, size: number) => {
          const parts = { after, limit: size, workerId: WORKER, isMatch: () => true, unsentBytesOf };
          return finish(busiestConnections(connections, parts)).result;
        };
        const found: number[] = [];
        for (let after: BusyPlace | undefined, hasMore = true; hasMore; ) {
          const page = pageAfter(after, limit);
          expect(page.total).toBe(all.length);
          found.push(...page.first.map(({ connectionId }) => connectionId));
          const last = page.first.at(-1);
          ({ hasMore } = page);
          if (last) after = { ...last, address: `${WORKER}.${last.connectionId}` };
        }

        const place = (id: number) => [all[id - 1]?.unsent ?? 0, all[id - 1]?.topics.length ?? 0] as const;
        const sorted = all
          .map((_, at) => at + 1)
          .sort((one, two) => place(two)[0] - place(one)[0] || place(two)[1] - place(one)[1] || one - two);
        expect(found).toEqual(sorted);

        // A page that begins at a connection of another worker has those with fewer bytes, or with equal numbers and a
        // later address.
        const isBehind = (id: number) => {
          const [unsent, topics] = place(id);
          if (unsent !== 1) return unsent < 1;
          if (topics !== 1) return topics < 1;
          return other === WORKER ? id > 5 : other < WORKER;
        };
        const { first } = pageAfter({ unsentBytes: 1, topics: 1, address: `${other}.5` }, 100);
        expect(first.map(({ connectionId }) => connectionId)).toEqual(sorted.filter(isBehind));
      },
    ),
  );
});
