import fc from "fast-check";
import { expect, test } from "vitest";
import { countMembers, hasMember, membersOf, type SmallSet, withMember, withoutMember } from "./small-set.ts";

test("after any sequence of changes it has the members of a Set, in the same order", () => {
  const step = fc.record({ member: fc.nat(4), isAdded: fc.boolean() });

  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let few: SmallSet<number>;
      const set = new Set<number>();

      for (const { member, isAdded } of steps) {
        few = isAdded ? withMember(few, member) : withoutMember(few, member);
        if (isAdded) set.add(member);
        else set.delete(member);

        expect([...membersOf(few)]).toEqual([...set]);
        expect(countMembers(few)).toBe(set.size);
        expect([0, 1, 2, 3, 4].filter((each) => hasMember(few, each))).toEqual([...set].sort());
      }
    }),
  );
});

test("one member needs no Set", () => {
  expect(withMember(undefined, "a")).toBe("a");
  expect(withoutMember("a", "a")).toBeUndefined();
});
