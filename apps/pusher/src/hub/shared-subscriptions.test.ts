import type { Bus, BusSubscription } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { ProtocolGroups } from "../fanout/subscriber-groups.ts";
import { clientProtocols } from "../protocols/client-protocols.ts";
import type { SharedSubscription } from "./shared-subscription.ts";
import { SharedSubscriptions } from "./shared-subscriptions.ts";

const protocolOf = (connection: number) => clientProtocols[connection % clientProtocols.length] as ClientProtocol;

/** Shared subscriptions, and the subjects that they are subscribed to on NATS. */
function openSubscriptions() {
  const subscribed: string[] = [];
  const subscribe = (subject: string): BusSubscription => {
    subscribed.push(subject);
    const unsubscribe = () => void subscribed.splice(subscribed.indexOf(subject), 1);
    return { subject, unsubscribe, endAfter: () => {} };
  };
  const subscriptions = new SharedSubscriptions({
    // Subscriptions use nothing else of the bus.
    bus: { subscribe } as unknown as Bus,
    subjects: new Subjects("test"),
    protocols: clientProtocols,
    groups: new ProtocolGroups(
      clientProtocols,
      { numSubscribers: () => 0, publish: () => {} },
      { all: () => [], size: 0 },
    ),
    receive: () => {},
    onMisaddressed: () => {},
    budget: new MemoryBudget(1_000),
  });
  return { subscriptions, subscribed };
}

const countsOf = (subscription: SharedSubscription) =>
  clientProtocols.map((protocol) => subscription.subscribersBy(protocol));

test("after any sequence of subscribe, unsubscribe and disconnect each topic with subscribers is subscribed once", () => {
  const step = fc.record({
    connection: fc.nat(4),
    topic: fc.constantFrom("a", "b.c", "b.*", ">"),
    does: fc.constantFrom("subscribe", "unsubscribe", "disconnect"),
  });

  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { subscriptions, subscribed } = openSubscriptions();
      const topicsOf = Array.from({ length: 5 }, () => new Set<string>());

      for (const { connection, topic, does } of steps) {
        const own = topicsOf[connection] ?? new Set();
        const protocol = protocolOf(connection);
        if (does === "subscribe" && !own.has(topic)) {
          own.add(topic);
          subscriptions.subscribeTopic(topic, protocol);
        } else if (does === "unsubscribe" && own.delete(topic)) {
          subscriptions.unsubscribeTopic(topic, protocol);
        } else if (does === "disconnect") {
          for (const each of own) subscriptions.unsubscribeTopic(each, protocol);
          own.clear();
        }

        const wanted = new Set(topicsOf.flatMap((topics) => [...topics]));
        expect(subscribed.length).toBe(wanted.size + 1);
        expect(subscriptions.size).toBe(wanted.size + 1);
        for (const each of wanted) {
          const subscribers = topicsOf.flatMap((topics, at) => (topics.has(each) ? protocolOf(at) : []));
          const subscription = subscriptions.ofTopic(each);
          expect(subscription?.subscribers).toBe(subscribers.length);
          expect(subscription && countsOf(subscription)).toEqual(
            clientProtocols.map((protocol) => subscribers.filter((other) => other === protocol).length),
          );
        }
      }
    }),
  );
});

test("unsubscribing from a topic without subscribers changes nothing", () => {
  const { subscriptions, subscribed } = openSubscriptions();

  expect(subscriptions.unsubscribeTopic("a", protocolOf(0))).toBeUndefined();

  expect([subscriptions.size, subscribed.length]).toEqual([1, 1]);
});

test("the subscription to everyone exists without connections", () => {
  const { subscriptions, subscribed } = openSubscriptions();
  const { everyone } = subscriptions;

  expect([...subscriptions.all()]).toEqual([everyone]);
  expect(subscribed).toEqual([everyone.subject]);
  everyone.addSubscriber(protocolOf(0));
  everyone.removeSubscriber(protocolOf(0));
  expect(subscriptions.has(everyone)).toBe(true);
});

test("a stored publication is found by its topic and by all patterns that match it", () => {
  const { subscriptions } = openSubscriptions();
  const subjects = new Subjects("test");
  const exact = subscriptions.subscribeTopic("a.b", protocolOf(0));
  const stored = subjects.historyOf(exact.subject) ?? "";
  expect(subscriptions.toStored(stored)).toEqual([exact]);

  const pattern = subscriptions.subscribeTopic("a.*", protocolOf(0));
  subscriptions.subscribeTopic("b.*", protocolOf(0));

  expect(new Set(subscriptions.toStored(stored))).toEqual(new Set([exact, pattern]));
});
