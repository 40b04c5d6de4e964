import { createHmac, createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { createLog } from "@fanwire/service";
import fc from "fast-check";
import { type JWTPayload, SignJWT } from "jose";
import { expect, test, vi } from "vitest";
import { OPEN_GRANT } from "./grant.ts";
import type { TokenConfig, TokenKeys } from "./settings.ts";
import { createTokenVerifier, MAX_TOKEN_LENGTH } from "./verifier.ts";

const log = createLog("test", "silent");
const NOW = 1_800_000_000;
const secret = createSecretKey("s".repeat(32), "utf8");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");

function verifierWith(key: KeyObject, algorithms: string[], options: Partial<TokenConfig> = {}, clock = { now: NOW }) {
  const keys: TokenKeys = { kind: "key", key, algorithms };
  const config = { keys, audience: undefined, issuer: undefined, leewaySeconds: 5, publicTopics: [], ...options };
  return createTokenVerifier(config, { log, now: () => clock.now * 1_000 });
}

function sign(payload: JWTPayload, key = secret, alg = "HS256", header = {}): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ ...header, alg }).sign(key);
}

/** Builds a token that no library would sign. */
function forge(header: object, payload: object | string, key: string | Buffer): string {
  const text = [header, payload].map((part) =>
    Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url"),
  );
  return `${text.join(".")}.${createHmac("sha256", key).update(text.join(".")).digest("base64url")}`;
}

test.each([
  ["HS256", secret, secret],
  ["RS256", rsa.privateKey, rsa.publicKey],
  ["ES256", ec.privateKey, ec.publicKey],
  ["EdDSA", ed.privateKey, ed.publicKey],
  ["Ed25519", ed.privateKey, ed.publicKey],
])("a token signed with %s grants what its claims list", async (algorithm, signingKey, key) => {
  const verifier = verifierWith(key, [algorithm], { publicTopics: ["news.>"] });
  const token = await sign(
    {
      sub: "7",
      topics: ["orders.7"],
      publish: ["chat.*"],
      presence: ["room"],
      info: { name: "Anna" },
      exp: NOW + 60,
    },
    signingKey,
    algorithm,
  );

  expect(await verifier.verify(token)).toEqual({
    ok: true,
    grant: {
      user: "7",
      topics: ["orders.7", "news.>"],
      publish: ["chat.*"],
      presence: ["room"],
      info: { name: "Anna" },
      expiresAt: (NOW + 65) * 1_000,
    },
  });
  expect(verifier.isOpen).toBe(false);
  expect(verifier.anonymous).toEqual({ ...OPEN_GRANT, topics: ["news.>"] });
});

test("without keys every token is accepted and ignored", async () => {
  const config = { audience: undefined, issuer: undefined, leewaySeconds: 5, publicTopics: [] };
  const verifier = createTokenVerifier({ ...config, keys: { kind: "none" } }, { log });

  expect(verifier.isOpen).toBe(true);
  expect(verifier.anonymous).toEqual(OPEN_GRANT);
  expect(await verifier.verify("x".repeat(100_000))).toEqual({ ok: true, grant: verifier.anonymous });
});

test("a token signed with another key or not signed is refused", async () => {
  const verifier = verifierWith(secret, ["HS256"]);
  const [header, payload] = (await sign({ sub: "7" })).split(".");
  const [, otherPayload, signature] = (await sign({ sub: "8" })).split(".");

  for (const token of [
    await sign({ sub: "7" }, createSecretKey("t".repeat(32), "utf8")),
    `${header}.${otherPayload}.${(await sign({ sub: "7" })).split(".")[2]}`,
    `${header}.${payload}.${signature}`,
    `${header}.${payload}.`,
    forge({ alg: "none" }, { sub: "7" }, "s".repeat(32)),
    `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.`,
    forge({ alg: "HS512" }, { sub: "7" }, "s".repeat(32)),
    forge({ alg: "hs256" }, { sub: "7" }, "s".repeat(32)),
  ]) {
    expect(await verifier.verify(token), token).toEqual({ ok: false, reason: "signature" });
  }
});

test("algorithm confusion: a public key is no HMAC secret, and keys of one type do not verify another", async () => {
  const pem = rsa.publicKey.export({ type: "spki", format: "pem" });
  const der = rsa.publicKey.export({ type: "spki", format: "der" });
  const verifier = verifierWith(rsa.publicKey, ["RS256"]);

  for (const token of [
    forge({ alg: "HS256" }, { sub: "7" }, pem),
    forge({ alg: "HS256" }, { sub: "7" }, pem.toString().trim()),
    forge({ alg: "HS256" }, { sub: "7" }, der),
    forge({ alg: "RS256" }, { sub: "7" }, pem),
    await sign({ sub: "7" }, rsa.privateKey, "PS256"),
    await sign({ sub: "7" }, ec.privateKey, "ES256"),
  ]) {
    expect(await verifier.verify(token)).toEqual({ ok: false, reason: "signature" });
  }
});

test("keys in the token header (jwk, jku) are ignored", async () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const jwk = createPublicKey(privateKey).export({ format: "jwk" });
  const verifier = verifierWith(rsa.publicKey, ["RS256"]);

  const token = await sign({ sub: "7" }, privateKey, "RS256", { jwk, jku: "http://127.0.0.1:1/", kid: "x" });

  expect(await verifier.verify(token)).toEqual({ ok: false, reason: "signature" });
});

test("a token is valid until exp plus the leeway", async () => {
  const clock = { now: NOW };
  const verifier = verifierWith(secret, ["HS256"], { leewaySeconds: 5 }, clock);
  const token = await sign({ sub: "7", exp: NOW + 10 });

  clock.now = NOW + 14;
  const result = await verifier.verify(token);
  clock.now = NOW + 15;

  expect(result.ok && result.grant.expiresAt).toBe(clock.now * 1_000);
  expect(await verifier.verify(token)).toEqual({ ok: false, reason: "expired" });
});

test("nbf is checked with the leeway", async () => {
  const verifier = verifierWith(secret, ["HS256"]);

  expect((await verifier.verify(await sign({ nbf: NOW + 5 }))).ok).toBe(true);
  expect(await verifier.verify(await sign({ nbf: NOW + 6 }))).toEqual({ ok: false, reason: "claims" });
});

test("aud and iss are checked only when configured", async () => {
  const verifier = verifierWith(secret, ["HS256"], { audience: "hub", issuer: "us" });

  expect((await verifier.verify(await sign({ aud: "hub", iss: "us" }))).ok).toBe(true);
  expect((await verifier.verify(await sign({ aud: ["shop", "hub"], iss: "us" }))).ok).toBe(true);
  for (const claims of [{}, { aud: "hub" }, { iss: "us" }, { aud: "shop", iss: "us" }, { aud: "hub", iss: "them" }]) {
    expect(await verifier.verify(await sign(claims))).toEqual({ ok: false, reason: "claims" });
  }
  expect((await verifierWith(secret, ["HS256"]).verify(await sign({ aud: "shop", iss: "them" }))).ok).toBe(true);
});

test("malformed claims are refused even if the signature is valid", async () => {
  const verifier = verifierWith(secret, ["HS256"]);

  for (const claims of [{ sub: "" }, { exp: "2999" }]) {
    const result = await verifier.verify(forge({ alg: "HS256" }, claims, "s".repeat(32)));
    expect(result, JSON.stringify(claims)).toEqual({ ok: false, reason: "claims" });
  }
});

test("a token over the length limit is refused before parsing", async () => {
  const verifier = verifierWith(secret, ["HS256"]);
  const fitting = await sign({ note: "x".repeat(24_516) });
  const token = await sign({ note: "x".repeat(24_517) });

  expect([fitting.length, token.length]).toEqual([MAX_TOKEN_LENGTH, MAX_TOKEN_LENGTH + 1]);
  expect((await verifier.verify(fitting)).ok).toBe(true);
  expect(await verifier.verify(token)).toEqual({ ok: false, reason: "malformed" });
});

/** Whether two tokens have the same signed text and signature bytes. */
function saysTheSame(one: string, other: string): boolean {
  const [claims, otherClaims] = [one, other].map((text) => text.slice(0, text.lastIndexOf(".")));
  const [signature, otherSignature] = [one, other].map((text) => text.slice(text.lastIndexOf(".") + 1));
  const bytes = (text = "") => Buffer.from(text, "base64url");
  return claims === otherClaims && bytes(signature).equals(bytes(otherSignature));
}

test("a token that meets a defect is refused, and the defect is logged", async () => {
  const error = vi.spyOn(log, "error");
  const keys: TokenKeys = { kind: "key", key: secret, algorithms: ["HS256"] };
  const config = { keys, audience: undefined, issuer: undefined, leewaySeconds: 5, publicTopics: [] };
  const defect = new Error("defect");
  const now = () => {
    throw defect;
  };
  const verifier = createTokenVerifier(config, { log, now });

  expect(verifier.verify(await sign({ sub: "7" }))).toEqual({ ok: false, reason: "malformed" });
  expect(error).toHaveBeenCalledWith({ err: defect }, "token could not be verified");
});

test("malformed tokens are refused, without a line in the log", async () => {
  const logging = [vi.spyOn(log, "warn"), vi.spyOn(log, "error")];
  const verifier = verifierWith(secret, ["HS256"]);
  const good = await sign({ sub: "7" });

  for (const text of ["", ".", "..", "a.b.c", "....", good.slice(1), `${good}.`, forge({ alg: "HS256" }, "[]", "s")]) {
    expect((await verifier.verify(text)).ok, text).toBe(false);
  }
  expect(await verifier.verify(forge({ alg: "HS256" }, "not JSON", "s".repeat(32)))).toEqual({
    ok: false,
    reason: "malformed",
  });
  expect(await verifier.verify(forge({ alg: "HS256", crit: ["x"], x: 1 }, {}, "s".repeat(32)))).toEqual({
    ok: false,
    reason: "malformed",
  });
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary" }), fc.nat(good.length), async (text, at) => {
      const damaged = good.slice(0, at) + text + good.slice(at + 1);
      expect((await verifier.verify(text)).ok).toBe(false);
      const isAccepted = (await verifier.verify(damaged)).ok;
      expect(isAccepted ? saysTheSame(good, damaged) : damaged !== good, damaged).toBe(true);
    }),
    { numRuns: 10_000 },
  );
  for (const write of logging) expect(write).not.toHaveBeenCalled();
});
