import type { Bus, BusMessage } from "@fanwire/bus";
import { expect, test } from "vitest";
import { BoundedSubscription } from "./bounded-subscription.ts";

function subscribe(subjects: readonly string[]) {
  const open = new Map<string, (message: BusMessage) => void>();
  const limits: [string, number][] = [];
  const received: number[] = [];
  const bus = {
    subscribe: (subject: string, receiver: (message: BusMessage) => void) => {
      open.set(subject, receiver);
      return {
        subject,
        unsubscribe: () => void open.delete(subject),
        endAfter: (messages: number) => void limits.push([subject, messages]),
      };
    },
  } as Pick<Bus, "subscribe">;
  const bounds = { messages: 3, bytes: 100 };
  const receive = ({ data }: BusMessage) => void received.push(data.length);
  const subscription = new BoundedSubscription({ bus, subjects, bounds, receive });
  subscription.start();
  return {
    subscription,
    limits,
    received,
    isOpen: () => open.size > 0,
    send: (subject: string, bytes: number) =>
      open.get(subject)?.({ subject, data: new Uint8Array(bytes), respond: () => false }),
  };
}

test("at the bound of messages it unsubscribes from all subjects until the next second", () => {
  const { subscription, received, isOpen, send } = subscribe(["a", "b"]);

  for (const subject of ["a", "b", "a"]) send(subject, 1);
  expect(isOpen()).toBe(true);
  send("b", 2);
  expect(isOpen()).toBe(false);

  expect(subscription.nextSecond()).toBe(true);
  send("a", 4);
  expect(received).toEqual([1, 1, 1, 4]);
  expect(subscription.nextSecond()).toBe(false);
});

test("a message may exceed the bound of bytes, but none follows it", () => {
  const { subscription, received, isOpen, send } = subscribe(["a"]);

  send("a", 500);
  send("a", 1);
  expect([received, isOpen()]).toEqual([[500], false]);

  expect(subscription.nextSecond()).toBe(true);
  send("a", 1);
  expect(received).toEqual([500, 1]);
});

test("NATS may send one message over the bound in each second", () => {
  const { subscription, limits, send } = subscribe(["a", "b"]);

  send("a", 1);
  subscription.nextSecond();

  expect(limits).toEqual([
    ["a", 4],
    ["b", 4],
    ["a", 5],
    ["b", 4],
  ]);
});
