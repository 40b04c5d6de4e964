import { setImmediate as nextTick } from "node:timers/promises";
import type { Bus, BusMessage } from "@fanwire/bus";
import { expect, test } from "vitest";
import { BoundedSubscription } from "./bounded-subscription.ts";

/** A subscription, as nats-server keeps it. */
type ServerSubscription = { receive(message: BusMessage): void; sent: number; limit: number };

function subscribe(subjects: readonly string[]) {
  const open = new Map<string, ServerSubscription>();
  /** Commands that the server has not read. */
  const commands: (() => void)[] = [];
  const read = () => {
    for (const command of commands.splice(0)) command();
  };
  const limits: [string, number][] = [];
  const received: number[] = [];
  const bus = {
    subscribe: (subject: string, receive: (message: BusMessage) => void) => {
      const subscription: ServerSubscription = { receive, sent: 0, limit: Number.POSITIVE_INFINITY };
      open.set(subject, subscription);
      return {
        subject,
        unsubscribe: () => void open.delete(subject),
        endAfter: (messages: number) => {
          limits.push([subject, messages]);
          commands.push(() => {
            subscription.limit = messages;
          });
        },
      };
    },
    confirm: async () => {
      read();
      return true;
    },
  } as Pick<Bus, "subscribe" | "confirm">;
  const bounds = { messages: 3, bytes: 100 };
  const receive = ({ data }: BusMessage) => void received.push(data.length);
  const subscription = new BoundedSubscription({ bus, subjects, bounds, receive });
  subscription.start();
  read();
  return {
    subscription,
    limits,
    received,
    isOpen: () => open.size > 0,
    send: (subject: string, bytes: number) => {
      const to = open.get(subject);
      if (to === undefined) return;
      if (++to.sent >= to.limit) open.delete(subject);
      to.receive({ subject, data: new Uint8Array(bytes), respond: () => false });
    },
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
  subscription.nextSecond();
  expect(limits).toEqual([
    ["a", 4],
    ["b", 4],
    ["a", 5],
  ]);
});

test("a burst across the end of a second, after which NATS has ended the subscription, is reported and survived", async () => {
  const { subscription, received, send } = subscribe(["a"]);
  send("a", 1);
  subscription.nextSecond();
  // Before NATS reads the new limit.
  for (let at = 0; at < 5; at++) send("a", 2);
  await nextTick();
  expect(received).toEqual([1, 2, 2, 2]);

  expect(subscription.nextSecond()).toBe(true);
  send("a", 3);
  expect(received).toEqual([1, 2, 2, 2, 3]);
  await nextTick();
  expect(subscription.nextSecond()).toBe(false);
});
