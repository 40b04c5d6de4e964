import fc from "fast-check";
import { expect, test } from "vitest";
import { parseFrame } from "./messages.ts";

test("each line of any frame is an object or skipped", () => {
  const line = fc.oneof(
    fc.json({ maxDepth: 2 }),
    fc.string({ unit: "binary" }),
    fc.constantFrom('{"type":"welcome"}', "", "null", "[", '{"__proto__":{"type":"reply"}}'),
  );

  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), (lines) => {
      const messages = parseFrame(lines.join("\n"));
      expect(messages.every((message) => typeof message === "object" && message !== null)).toBe(true);
      expect(messages.length).toBeGreaterThanOrEqual(lines.filter((each) => each === '{"type":"welcome"}').length);
    }),
    { numRuns: 10_000 },
  );
});
