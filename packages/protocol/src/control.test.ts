import fc from "fast-check";
import { expect, test } from "vitest";
import { controlRequest } from "./control.ts";
import { isName } from "./names.ts";
import { isTopicPattern } from "./topics.ts";

test("any parsed control request holds only legal names and numbers", () => {
  const name = fc.oneof(
    fc.constantFrom("a", "a.*", ">", "a.>.b", "", "\ud800"),
    fc.string({ unit: "binary" }),
    fc.json({ maxDepth: 1 }),
  );
  const request = fc.record(
    {
      command: fc.oneof(
        fc.constantFrom("describe", "close-connection", "subscribe", "unsubscribe", "close-user", "subscribe-user"),
        fc.constantFrom("list-connections", "busiest-connections", "busiest-users"),
        fc.string(),
      ),
      connectionId: fc.oneof(fc.integer(), fc.double(), fc.string()),
      user: name,
      topic: name,
      limit: fc.constantFrom(1, 200, 0, 1.5),
    },
    { requiredKeys: [] },
  );

  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(request, fc.jsonValue({ maxDepth: 2 })), (asked) => {
      const { data } = controlRequest.safeParse(asked);
      if (data === undefined) return;
      accepted++;
      if ("connectionId" in data) expect(data.connectionId).toBeGreaterThan(0);
      if ("user" in data && data.user !== undefined) expect(isName(data.user)).toBe(true);
      if ("topic" in data && data.topic !== undefined) expect(isTopicPattern(data.topic)).toBe(true);
    }),
    { numRuns: 10_000 },
  );
  expect(accepted).toBeGreaterThan(100);
});
