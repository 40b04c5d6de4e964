import { matchesTopic } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { matches } from "./topics.ts";

test("patterns match the same topics as in the workers", () => {
  const name = (...tokens: string[]) => fc.array(fc.constantFrom(...tokens), { minLength: 1, maxLength: 4 });

  fc.assert(
    fc.property(name("a", "b", "*", ">"), name("a", "b"), (wanted, tokens) => {
      const [pattern, topic] = [wanted.join("."), tokens.join(".")];
      if (!isPattern(wanted)) return;
      expect(matches(pattern, topic), `${pattern} ${topic}`).toBe(matchesTopic(pattern, topic));
    }),
    { numRuns: 2_000 },
  );
});

/** `>` may only be the last token. */
function isPattern(tokens: readonly string[]): boolean {
  return tokens.slice(0, -1).every((token) => token !== ">");
}
