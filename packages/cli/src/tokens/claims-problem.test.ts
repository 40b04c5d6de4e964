import { unverifiedGrant } from "@fanwire/tokens";
import { expect, test } from "vitest";
import { claimsProblem, registeredClaimsProblem } from "./claims-problem.ts";

test.each([
  [{}, undefined],
  [{ sub: "anna", topics: ["a", "b.*"], publish: ["c.>"], presence: ["a"], info: { name: "Anna" } }, undefined],
  [{ topics: Array(1_000).fill("a") }, undefined],
  [{ info: "x".repeat(1_022) }, undefined],
  [{ sub: "" }, "sub (the user) must be 1 to 255 bytes of text"],
  [{ sub: 7 }, "sub (the user) must be 1 to 255 bytes of text"],
  [{ topics: "a" }, "topics must be a list of topics and patterns"],
  [{ publish: [7] }, "publish: 7 is no topic or pattern. * is one token, > the rest: orders.*, orders.>"],
  [{ presence: ["a.>.b"] }, 'presence: "a.>.b" is no topic or pattern. * is one token, > the rest: orders.*, orders.>'],
  [
    { topics: Array(600).fill("a"), publish: Array(401).fill("b") },
    "the claims have 1001 patterns, the maximum is 1000",
  ],
  [{ info: "x".repeat(1_023) }, "info is longer than 1024 bytes of JSON"],
])("claims are explained as a pusher reads them: %#", (claims: Record<string, unknown>, problem) => {
  expect(claimsProblem(claims)).toBe(problem);
  expect(unverifiedGrant(claims) === undefined).toBe(problem !== undefined);
});

const expected = { audience: "hub", issuer: "us" };
const good = { aud: ["shop", "hub"], iss: "us" };

test.each([
  [{ ...good, aud: "shop" }, 'aud is "shop", PUSHER_TOKEN_AUDIENCE is hub'],
  [{ iss: "us" }, "aud is absent, PUSHER_TOKEN_AUDIENCE is hub"],
  [{ ...good, iss: "them" }, 'iss is "them", PUSHER_TOKEN_ISSUER is us'],
  [{ aud: "hub" }, "iss is absent, PUSHER_TOKEN_ISSUER is us"],
  [{ ...good, iat: "x", exp: "y" }, "iat must be a time in seconds since 1970"],
  [{ ...good, exp: Number.POSITIVE_INFINITY }, "exp must be a time in seconds since 1970"],
  [{ ...good, iat: 1, exp: 2, nbf: 2_000 }, "nbf is 2000: it is not valid yet"],
])("registered claims that do not hold are explained: %#", (claims: Record<string, unknown>, problem) => {
  expect(registeredClaimsProblem(claims, expected)).toBe(problem);
});

test("audience and issuer are not compared without their settings", () => {
  const none = { audience: undefined, issuer: undefined };

  expect(registeredClaimsProblem({ aud: "x", iss: "y", nbf: 5 }, none)).toBe("nbf is 5: it is not valid yet");
});
