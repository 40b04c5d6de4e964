import * as protocol from "@fanwire/protocol";
import { expect, test } from "vitest";
import { closeAdvice } from "./close-advice.ts";

test("the advice equals the workers' table, except for an expired token, which can be renewed", () => {
  for (let code = 1000; code < 5000; code++) {
    const expected = code === 4401 ? "renew-token" : protocol.closeAdvice(code);
    expect(closeAdvice(code), String(code)).toBe(expected);
  }
});
