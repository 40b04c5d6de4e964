import fc from "fast-check";
import { expect, test } from "vitest";
import { Interest } from "./interest.ts";

test("after any sequence of follow, unfollow and disconnect exactly what is followed is subscribed, once", () => {
  const step = fc.record({
    connection: fc.nat(4),
    key: fc.constantFrom("a", "b", "c", "d"),
    does: fc.constantFrom("follow", "unfollow", "disconnect"),
  });

  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const subscribed: string[] = [];
      const interest = new Interest<string>(
        (key) => {
          subscribed.push(key);
          return key;
        },
        (key) => subscribed.splice(subscribed.indexOf(key), 1),
      );
      const follows = Array.from({ length: 5 }, () => new Set<string>());

      for (const { connection, key, does } of steps) {
        const own = follows[connection] ?? new Set();
        if (does === "follow" && !own.has(key)) {
          own.add(key);
          interest.follow(key);
        } else if (does === "unfollow" && own.delete(key)) {
          interest.unfollow(key);
        } else if (does === "disconnect") {
          for (const each of own) interest.unfollow(each);
          own.clear();
        }

        const wanted = [...new Set(follows.flatMap((keys) => [...keys]))].sort();
        expect([...subscribed].sort()).toEqual(wanted);
        expect(interest.size).toBe(wanted.length);
      }
    }),
  );
});

test("unfollowing what nobody follows changes nothing", () => {
  const interest = new Interest<string>(
    (key) => key,
    () => {},
  );

  interest.unfollow("a");

  expect(interest.size).toBe(0);
});
