import fc from "fast-check";
import { expect, test } from "vitest";
import { memberPageOf, namesPageOf } from "./member-page.ts";

const members = fc.uniqueArray(fc.constantFrom(..."abcdefghij"), { maxLength: 10 }).map((users) => users.sort());

test("pages have each user once, sorted, with the connections to all workers, for any page sizes", () => {
  fc.assert(
    fc.property(
      fc.array(members, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 5 }),
      (workers, limit, ofWorker) => {
        const ask = (after: string | undefined) =>
          workers.map((users, at) => {
            const wanted = users.filter((user) => after === undefined || user > after);
            const page = wanted.slice(0, Math.min(limit, ofWorker));
            return {
              worker: `worker0${at}`,
              members: page.map((user) => ({ user, since: 10 - at, info: at, connections: 2 })),
              users: page,
              hasMore: page.length < wanted.length,
            };
          });
        const all = [...new Set(workers.flat())].sort();

        const seen: ReturnType<typeof memberPageOf>["members"][number][] = [];
        let after: string | undefined;
        do {
          const page = memberPageOf(ask(after), limit);
          expect(page.members.length).toBeLessThanOrEqual(limit);
          seen.push(...page.members);
          after = page.next;
        } while (after !== undefined);
        const names: string[] = [];
        do {
          const page = namesPageOf(ask(after));
          names.push(...page.users);
          after = page.next;
        } while (after !== undefined);

        const expected = all.map((user) => {
          const ofUser = workers.flatMap((users, at) => (users.includes(user) ? at : []));
          return { user, info: Math.max(...ofUser), connections: 2 * ofUser.length };
        });
        expect(seen).toEqual(expected);
        expect(names.sort()).toEqual(all);
      },
    ),
  );
});
