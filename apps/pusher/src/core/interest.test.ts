import fc from "fast-check";
import { expect, test } from "vitest";
import { Interest } from "./interest.ts";

type Door = "front" | "back";

class Subscription {
  readonly key: string;
  readonly followers: Record<Door, number> = { front: 0, back: 0 };

  constructor(key: string) {
    this.key = key;
  }

  get isFollowed(): boolean {
    return this.followers.front + this.followers.back > 0;
  }

  addFollower(door: Door): void {
    this.followers[door]++;
  }

  removeFollower(door: Door): void {
    this.followers[door]--;
  }
}

function doorOf(connection: number): Door {
  return connection % 2 === 0 ? "front" : "back";
}

test("after any sequence of follow, unfollow and disconnect exactly what is followed is subscribed, once", () => {
  const step = fc.record({
    connection: fc.nat(4),
    key: fc.constantFrom("a", "b", "c", "d"),
    does: fc.constantFrom("follow", "unfollow", "disconnect"),
  });

  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const subscribed: string[] = [];
      const interest = new Interest<Door, Subscription>(
        (key) => {
          subscribed.push(key);
          return new Subscription(key);
        },
        ({ key }) => subscribed.splice(subscribed.indexOf(key), 1),
      );
      const follows = Array.from({ length: 5 }, () => new Set<string>());

      for (const { connection, key, does } of steps) {
        const own = follows[connection] ?? new Set();
        if (does === "follow" && !own.has(key)) {
          own.add(key);
          interest.follow(key, doorOf(connection));
        } else if (does === "unfollow" && own.delete(key)) {
          interest.unfollow(key, doorOf(connection));
        } else if (does === "disconnect") {
          for (const each of own) interest.unfollow(each, doorOf(connection));
          own.clear();
        }

        const wanted = [...new Set(follows.flatMap((keys) => [...keys]))].sort();
        expect([...subscribed].sort()).toEqual(wanted);
        expect(interest.size).toBe(wanted.length);
        for (const { key: followed, followers } of interest.subscriptions()) {
          const by = (door: Door) => follows.filter((keys, at) => keys.has(followed) && doorOf(at) === door).length;
          expect(followers).toEqual({ front: by("front"), back: by("back") });
        }
      }
    }),
  );
});

test("unfollowing what nobody follows changes nothing", () => {
  const interest = new Interest<Door, Subscription>(
    (key) => new Subscription(key),
    () => {},
  );

  interest.unfollow("a", "front");

  expect(interest.size).toBe(0);
});

test("what is kept is listened to with nobody there, before the first and after the last", () => {
  const closed: string[] = [];
  const interest = new Interest<Door, Subscription>(
    (key) => new Subscription(key),
    ({ key }) => closed.push(key),
  );

  const kept = interest.keep("a");

  expect(interest.get("a")).toBe(kept);
  expect(interest.size).toBe(1);
  expect(closed).toEqual([]);
});
