import fc from "fast-check";
import { expect, test } from "vitest";
import { Interest } from "./interest.ts";

type ProtocolName = "front" | "back";

class Subscription {
  readonly key: string;
  readonly subscribers: Record<ProtocolName, number> = { front: 0, back: 0 };

  constructor(key: string) {
    this.key = key;
  }

  get hasSubscribers(): boolean {
    return this.subscribers.front + this.subscribers.back > 0;
  }

  addSubscriber(protocol: ProtocolName): void {
    this.subscribers[protocol]++;
  }

  removeSubscriber(protocol: ProtocolName): void {
    this.subscribers[protocol]--;
  }
}

function protocolOf(connection: number): ProtocolName {
  return connection % 2 === 0 ? "front" : "back";
}

test("after any sequence of subscribe, unsubscribe and disconnect exactly what is followed is subscribed, once", () => {
  const step = fc.record({
    connection: fc.nat(4),
    key: fc.constantFrom("a", "b", "c", "d"),
    does: fc.constantFrom("subscribe", "unsubscribe", "disconnect"),
  });

  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const subscribed: string[] = [];
      const interest = new Interest<ProtocolName, Subscription>(
        (key) => {
          subscribed.push(key);
          return new Subscription(key);
        },
        ({ key }) => subscribed.splice(subscribed.indexOf(key), 1),
      );
      const follows = Array.from({ length: 5 }, () => new Set<string>());

      for (const { connection, key, does } of steps) {
        const own = follows[connection] ?? new Set();
        if (does === "subscribe" && !own.has(key)) {
          own.add(key);
          interest.subscribe(key, protocolOf(connection));
        } else if (does === "unsubscribe" && own.delete(key)) {
          interest.unsubscribe(key, protocolOf(connection));
        } else if (does === "disconnect") {
          for (const each of own) interest.unsubscribe(each, protocolOf(connection));
          own.clear();
        }

        const wanted = [...new Set(follows.flatMap((keys) => [...keys]))].sort();
        expect([...subscribed].sort()).toEqual(wanted);
        expect(interest.size).toBe(wanted.length);
        for (const { key: followed, subscribers } of interest.subscriptions()) {
          const by = (protocol: ProtocolName) =>
            follows.filter((keys, at) => keys.has(followed) && protocolOf(at) === protocol).length;
          expect(subscribers).toEqual({ front: by("front"), back: by("back") });
        }
      }
    }),
  );
});

test("unfollowing what nobody follows changes nothing", () => {
  const interest = new Interest<ProtocolName, Subscription>(
    (key) => new Subscription(key),
    () => {},
  );

  interest.unsubscribe("a", "front");

  expect(interest.size).toBe(0);
});

test("what is kept is listened to with nobody there, before the first and after the last", () => {
  const closed: string[] = [];
  const interest = new Interest<ProtocolName, Subscription>(
    (key) => new Subscription(key),
    ({ key }) => closed.push(key),
  );

  const kept = interest.keep("a");

  expect(interest.get("a")).toBe(kept);
  expect(interest.size).toBe(1);
  expect(closed).toEqual([]);
});
