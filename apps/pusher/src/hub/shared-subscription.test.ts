import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { busMessage } from "../bus-message.testing.ts";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { SharedSubscription, type SharedSubscriptionParts } from "./shared-subscription.ts";

test("the budget has content and headers of what waits for connections", () => {
  const budget = new MemoryBudget(1_000_000);
  const bus = { subscribe: () => ({}) };
  // Everything that no test here needs is missing.
  const parts = { bus, subjects: new Subjects(), budget } as unknown as SharedSubscriptionParts;
  const subscription = new SharedSubscription("fanwire.live.all", 1, parts);
  const reader = subscription.backlog.addReader(1);

  const message = busMessage(Buffer.alloc(3_000), {}, 20_000);
  subscription.keep({ message, position: undefined, arrival: 1 });

  expect(budget.usedBytes).toBeGreaterThan(23_000);
  subscription.leaveBacklog(reader);
  expect(budget.usedBytes).toBe(0);
});
