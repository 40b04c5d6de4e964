import { expect, test } from "vitest";
import { sizeLimits } from "./size-limits.ts";

test.each([0, 4_096, 65_536, 1_048_576, 8_388_608])("a message fits into a max_payload of %i", (maxPayload) => {
  const { fact, message } = sizeLimits(maxPayload);

  expect(3 * (fact + message) + 200).toBeLessThan(maxPayload === 0 ? 1_048_576 : maxPayload);
  expect(fact).toBeLessThanOrEqual(131_072);
});
