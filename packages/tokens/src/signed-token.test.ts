import { createSecretKey, generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { expect, test } from "vitest";
import { algorithmsFor, isSignedBy, parseSignedToken } from "./signed-token.ts";
import { unverifiedClaims, unverifiedGrant } from "./unverified.ts";

const secret = createSecretKey("s".repeat(32), "utf8");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");
const keys = { HS256: secret, RS256: rsa.publicKey, ES256: ec.publicKey, EdDSA: ed.publicKey };

test.each([
  ["a secret", secret, ["HS256"]],
  ["RSA", rsa.publicKey, ["RS256"]],
  ["weak RSA", generateKeyPairSync("rsa", { modulusLength: 2_040 }).publicKey, []],
  ["P-256", ec.publicKey, ["ES256"]],
  ["P-384", generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey, []],
  ["Ed25519", ed.publicKey, ["EdDSA", "Ed25519"]],
  ["X25519", generateKeyPairSync("x25519").publicKey, []],
  ["a private key", ec.privateKey, []],
])("a key verifies the algorithms of its kind alone: %s", (_, key, algorithms) => {
  expect(algorithmsFor(key)).toEqual(algorithms);
});

test.each([
  ["HS256", secret, "HS256"],
  ["RS256", rsa.privateKey, "RS256"],
  ["ES256", ec.privateKey, "ES256"],
  ["EdDSA", ed.privateKey, "EdDSA"],
  ["Ed25519", ed.privateKey, "EdDSA"],
])("a token of %s is verified with a key of that kind alone, and by its whole signature", async (alg, key, name) => {
  const token = parseSignedToken(await new SignJWT({}).setProtectedHeader({ alg }).sign(key));
  if (token === undefined) throw new Error("no token");
  const verifiersOf = (changed: typeof token) =>
    Object.entries(keys).flatMap(([each, key]) => (isSignedBy(changed, key) ? [each] : []));

  expect(verifiersOf(token)).toEqual([name]);
  expect(verifiersOf({ ...token, signature: token.signature.subarray(1) })).toEqual([]);
  expect(verifiersOf({ ...token, algorithm: "none" })).toEqual([]);
});

test("without its key, the claims of a token and their rights are known, and nothing of other texts", () => {
  const [header, claims] = ['{"alg":"HS256"}', '{"sub":"7","exp":1}'].map((part) =>
    Buffer.from(part).toString("base64url"),
  );

  expect(unverifiedClaims(`${header}.${claims}.AA`)).toEqual({ sub: "7", exp: 1 });
  expect(unverifiedClaims("no token")).toBeUndefined();
  expect(unverifiedGrant({ sub: "7", exp: 1 })).toMatchObject({ user: "7", topics: [], expiresAt: 1_000 });
  expect(unverifiedGrant({ sub: 7 })).toBeUndefined();
});
