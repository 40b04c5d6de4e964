import { createSecretKey, createSign, generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createLog } from "@fanwire/service";
import { SignJWT } from "jose";
import { afterEach, expect, test, vi } from "vitest";
import { createTokenVerifier, type TokenVerifier } from "./verifier.ts";

type Pair = { readonly kid: string | undefined; readonly publicKey: KeyObject; readonly privateKey: KeyObject };

const pair = (kid?: string): Pair => ({ kid, ...generateKeyPairSync("ec", { namedCurve: "P-256" }) });
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
const jwk = ({ kid, publicKey }: Pick<Pair, "kid" | "publicKey">) => ({
  ...publicKey.export({ format: "jwk" }),
  ...(kid !== undefined && { kid }),
});
const sign = ({ kid, privateKey }: Pair) =>
  new SignJWT({ sub: "7" }).setProtectedHeader({ alg: "ES256", ...(kid !== undefined && { kid }) }).sign(privateKey);

/** Serves a key set. */
async function startIssuer(port = 0) {
  const url = new URL("http://127.0.0.1/keys");
  const issuer = { keys: [] as unknown, padding: "", status: 200, fetches: 0, url, held: Promise.resolve() };
  const server = createServer((_, response) => {
    issuer.fetches++;
    const body = JSON.stringify({ keys: issuer.keys }) + issuer.padding;
    void issuer.held.then(() => response.writeHead(issuer.status).end(body));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  issuer.url.port = String((server.address() as AddressInfo).port); // a server that listens on TCP has an AddressInfo
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  stops.push(stop);
  return Object.assign(issuer, { stop });
}
const stops: (() => Promise<void>)[] = [];
afterEach(async () => void (await Promise.all(stops.splice(0).map((stop) => stop()))));

/** Creates a verifier. `clock` is for the fetches of keys, and claims are compared with `unixMs`. */
function verifierOf(url: URL, clock: { ms: number }, unixMs = Date.now) {
  const log = createLog("test", "silent");
  const warn = vi.spyOn(log, "warn");
  const verifier = createTokenVerifier(
    { keys: { kind: "jwks", url }, audience: undefined, issuer: undefined, leewaySeconds: 5, publicTopics: [] },
    { log, now: unixMs, monotonicNow: () => clock.ms },
  );
  return Object.assign(verifier, { warn });
}

const outcomeOf = async (verifier: TokenVerifier, token: string) => {
  const result = await verifier.verify(token);
  return result.ok ? "ok" : result.reason;
};
const outcome = async (verifier: TokenVerifier, key: Pair) => outcomeOf(verifier, await sign(key));

/** Starts an issuer with one key, and a verifier that has fetched it. */
async function startWith(key: Pair) {
  const issuer = await startIssuer();
  const clock = { ms: Date.now() };
  issuer.keys = [jwk(key)];
  const verifier = verifierOf(issuer.url, clock);
  expect(await outcome(verifier, key)).toBe("ok");
  return { issuer, clock, verifier };
}

test("JWKS: fetched once for many tokens, and again for an unknown kid", async () => {
  const issuer = await startIssuer();
  const [oldKey, newKey] = [pair("old"), pair("new")];
  const clock = { ms: Date.now() };
  issuer.keys = [jwk(oldKey)];
  const verifier = verifierOf(issuer.url, clock);

  const before = await Promise.all(Array.from({ length: 50 }, () => outcome(verifier, oldKey)));
  issuer.keys = [jwk(oldKey), jwk(newKey)];
  clock.ms += 31_000;
  const after = await Promise.all([outcome(verifier, newKey), outcome(verifier, newKey), outcome(verifier, oldKey)]);

  expect(new Set(before)).toEqual(new Set(["ok"]));
  expect(after).toEqual(["ok", "ok", "ok"]);
  expect(issuer.fetches).toBe(2);
});

test("JWKS: keys of each kind verify the algorithms of that kind, and no key serves as a secret", async () => {
  const issuer = await startIssuer();
  const pairs = {
    rsa: generateKeyPairSync("rsa", { modulusLength: 2_048 }),
    weak: generateKeyPairSync("rsa", { modulusLength: 1_024 }),
    ec: generateKeyPairSync("ec", { namedCurve: "P-256" }),
    ed: generateKeyPairSync("ed25519"),
  };
  const secret = createSecretKey("s".repeat(32), "utf8");
  issuer.keys = [
    ...Object.entries(pairs).map(([kid, { publicKey }]) => jwk({ kid, publicKey })),
    { ...secret.export({ format: "jwk" }), kid: "secret" },
  ];
  const verifier = verifierOf(issuer.url, { ms: Date.now() });
  const verify = async (kid: string, alg: string, key: KeyObject) =>
    outcomeOf(verifier, await new SignJWT({ sub: "7" }).setProtectedHeader({ alg, kid }).sign(key));

  expect(await verify("rsa", "RS256", pairs.rsa.privateKey)).toBe("ok");
  expect(await verify("ec", "ES256", pairs.ec.privateKey)).toBe("ok");
  for (const alg of ["EdDSA", "Ed25519"]) expect(await verify("ed", alg, pairs.ed.privateKey)).toBe("ok");
  expect(await verify("secret", "HS256", secret)).toBe("signature");
  expect(await verify("ed", "ES256", pairs.ec.privateKey)).not.toBe("ok");
  const weak = `${encode({ alg: "RS256", kid: "weak" })}.${encode({ sub: "7" })}`;
  const signature = createSign("sha256").update(weak).sign(pairs.weak.privateKey, "base64url");
  expect(await outcomeOf(verifier, `${weak}.${signature}`)).not.toBe("ok");
});

test("JWKS: invented key ids cause at most one fetch per cooldown", async () => {
  const issuer = await startIssuer();
  const key = pair("real");
  const clock = { ms: Date.now() };
  issuer.keys = [jwk(key)];
  const verifier = verifierOf(issuer.url, clock);
  expect(await outcome(verifier, key)).toBe("ok");

  for (let at = 0; at < 20; at++) expect(await outcome(verifier, pair(`invented-${at}`))).toBe("keys-unavailable");
  expect(issuer.fetches).toBe(1);
  clock.ms += 30_000;
  expect(await outcome(verifier, pair("invented"))).toBe("signature");
  for (let at = 0; at < 20; at++) expect(await outcome(verifier, pair(`invented-${at}`))).toBe("keys-unavailable");
  expect(issuer.fetches).toBe(2);
});

test.each([
  ["another kid", "old", "new"],
  ["the kid of the earlier key", "same", "same"],
  ["no kid", undefined, undefined],
])("JWKS: a token of a key added after the last fetch is retried and then accepted: %s", async (_, oldKid, newKid) => {
  const issuer = await startIssuer();
  const [oldKey, newKey] = [pair(oldKid), pair(newKid)];
  const clock = { ms: Date.now() };
  issuer.keys = [jwk(oldKey)];
  const verifier = verifierOf(issuer.url, clock);
  expect(await outcome(verifier, oldKey)).toBe("ok");

  issuer.keys = [jwk(newKey)];
  clock.ms += 29_999;
  expect(await outcome(verifier, newKey)).toBe("keys-unavailable");
  expect(await outcome(verifier, oldKey)).toBe("ok");
  clock.ms += 1;

  expect(await Promise.all([newKey, newKey, newKey].map((key) => outcome(verifier, key)))).toEqual(["ok", "ok", "ok"]);
  expect(issuer.fetches).toBe(2);
});

test("JWKS: a retried token is refused once any later fetch did not bring its key", async () => {
  const { issuer, clock, verifier } = await startWith(pair("real"));
  const forged = await sign(pair("forged"));

  expect(await outcomeOf(verifier, forged)).toBe("keys-unavailable");
  clock.ms += 30_000;
  expect(await outcome(verifier, pair("another"))).toBe("signature");

  expect([await outcomeOf(verifier, forged), await outcomeOf(verifier, forged)]).toEqual(["signature", "signature"]);
  expect(await outcome(verifier, pair("forged"))).toBe("keys-unavailable");
  expect(issuer.fetches).toBe(2);
});

test("JWKS: bad signatures with a known kid are refused after one more fetch, and cause at most one per cooldown", async () => {
  const real = pair("real");
  const { issuer, clock, verifier } = await startWith(real);
  const forged = await Promise.all(Array.from({ length: 20 }, () => sign(pair("real"))));

  for (const token of forged) expect(await outcomeOf(verifier, token)).toBe("keys-unavailable");
  expect(issuer.fetches).toBe(1);
  clock.ms += 30_000;
  for (const token of forged) expect(await outcomeOf(verifier, token)).toBe("signature");
  expect(await outcome(verifier, real)).toBe("ok");
  expect(issuer.fetches).toBe(2);
});

test("JWKS: a token whose kid is no string is refused at once", async () => {
  const issuer = await startIssuer();
  const key = pair();
  issuer.keys = [jwk(key)];
  const verifier = verifierOf(issuer.url, { ms: Date.now() });
  expect(await outcome(verifier, key)).toBe("ok");

  for (const kid of ["7", "null", "{}", "[".repeat(12_000) + "]".repeat(12_000)]) {
    const header = Buffer.from(`{"alg":"ES256","kid":${kid}}`).toString("base64url");
    expect(verifier.verify(`${header}.e30.AA`), kid.slice(0, 9)).toEqual({ ok: false, reason: "malformed" });
  }
});

test("JWKS: a revoked key is rejected after the next refresh", async () => {
  const issuer = await startIssuer();
  const [withdrawn, kept] = [pair("withdrawn"), pair("kept")];
  const clock = { ms: Date.now() };
  issuer.keys = [jwk(withdrawn), jwk(kept)];
  const verifier = verifierOf(issuer.url, clock);
  expect(await outcome(verifier, withdrawn)).toBe("ok");

  issuer.keys = [jwk(kept)];
  clock.ms += 600_000;

  await vi.waitFor(async () => expect(await outcome(verifier, withdrawn)).toBe("keys-unavailable"));
  clock.ms += 30_000;
  expect(await outcome(verifier, withdrawn)).toBe("signature");
  expect(await outcome(verifier, kept)).toBe("ok");
});

test("JWKS: a quiet worker fetches the set before it accepts a token, so that a withdrawn key is refused at once", async () => {
  const issuer = await startIssuer();
  const [withdrawn, kept] = [pair("withdrawn"), pair("kept")];
  const clock = { ms: Date.now() };
  issuer.keys = [jwk(withdrawn), jwk(kept)];
  const verifier = verifierOf(issuer.url, clock);
  expect([await outcome(verifier, withdrawn), await outcome(verifier, kept)]).toEqual(["ok", "ok"]);

  issuer.keys = [jwk(kept)];
  clock.ms += 1_200_000;

  const tokens = await Promise.all([withdrawn, kept, withdrawn].map(sign));
  const outcomes = tokens.map((token) => outcomeOf(verifier, token));
  // The last token arrived during the fetch, so that its key may be newer.
  expect(await Promise.all(outcomes)).toEqual(["signature", "ok", "keys-unavailable"]);
  expect(issuer.fetches).toBe(2);
});

test("JWKS: a token of a key that was added during a fetch is retried and then accepted", async () => {
  const issuer = await startIssuer();
  const [oldKey, newKey] = [pair("old"), pair("new")];
  const clock = { ms: Date.now() };
  let respond = () => {};
  const hold = () => {
    issuer.held = new Promise((resolve) => {
      respond = resolve;
    });
  };
  const outcomeDuringFetch = async (fetches: number) => {
    await vi.waitFor(() => expect(issuer.fetches).toBe(fetches));
    issuer.keys = [jwk(oldKey), jwk(newKey)];
    const token = await sign(newKey);
    const verified = outcomeOf(verifier, token);
    respond();
    return [await verified, token] as const;
  };
  issuer.keys = [jwk(oldKey)];
  hold();
  const verifier = verifierOf(issuer.url, clock);

  expect((await outcomeDuringFetch(1))[0]).toBe("keys-unavailable");
  issuer.keys = [jwk(oldKey)];
  hold();
  clock.ms += 600_000;
  expect(await outcome(verifier, oldKey)).toBe("ok");
  const [verified, token] = await outcomeDuringFetch(2);
  expect(verified).toBe("keys-unavailable");
  expect(await outcomeOf(verifier, token)).toBe("keys-unavailable");
  clock.ms += 30_000;

  expect(await outcomeOf(verifier, token)).toBe("ok");
  expect(issuer.fetches).toBe(3);
});

test("JWKS: a system clock that is set back delays no fetch", async () => {
  const issuer = await startIssuer();
  const [oldKey, newKey] = [pair("old"), pair("new")];
  const clock = { ms: 1_000_000 };
  let unixMs = 1_000_000;
  issuer.keys = [jwk(oldKey)];
  const verifier = verifierOf(issuer.url, clock, () => unixMs);
  expect(await outcome(verifier, oldKey)).toBe("ok");

  issuer.keys = [jwk(newKey)];
  unixMs = 0;
  clock.ms += 30_000;

  expect(await outcome(verifier, newKey)).toBe("ok");
});

test("JWKS: an issuer that is down at start is retried later", async () => {
  const stopped = await startIssuer();
  await stopped.stop();
  const key = pair("a");
  const clock = { ms: Date.now() };
  const verifier = verifierOf(stopped.url, clock);

  expect(await outcome(verifier, key)).toBe("keys-unavailable");
  const back = await startIssuer(Number(stopped.url.port));
  back.keys = [jwk(key)];
  expect(await outcome(verifier, key)).toBe("keys-unavailable");
  expect(back.fetches).toBe(0);
  clock.ms += 5_000;

  expect(await outcome(verifier, key)).toBe("ok");
  expect(verifier.warn).toHaveBeenCalledTimes(1);
});

test("JWKS: cached keys stay valid for a day while the issuer is down", async () => {
  const issuer = await startIssuer();
  const key = pair("a");
  const clock = { ms: Date.now() };
  issuer.keys = [jwk(key)];
  const verifier = verifierOf(issuer.url, clock);
  expect(await outcome(verifier, key)).toBe("ok");

  issuer.status = 500;
  for (let hour = 0; hour < 23; hour++) {
    clock.ms += 3_600_000;
    expect(await outcome(verifier, key)).toBe("ok");
  }
  await vi.waitFor(() => expect(verifier.warn).toHaveBeenCalled());
  expect(await outcome(verifier, pair("unknown"))).toBe("keys-unavailable");
  clock.ms += 3_600_000;

  expect(await outcome(verifier, key)).toBe("keys-unavailable");
});

test("JWKS: an invalid key set counts as unavailable", async () => {
  const issuer = await startIssuer();
  const clock = { ms: Date.now() };

  for (const keys of [
    "keys",
    [7],
    [generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" })],
  ]) {
    issuer.keys = keys;
    expect(await outcome(verifierOf(issuer.url, clock), pair())).toBe("keys-unavailable");
  }
});

test("JWKS: a response over the size limit counts as unavailable", async () => {
  const issuer = await startIssuer();
  const key = pair("a");
  issuer.keys = [jwk(key)];
  const clock = { ms: Date.now() };

  issuer.padding = " ".repeat(200_000);
  expect(await outcome(verifierOf(issuer.url, clock), key)).toBe("ok");
  issuer.padding = " ".repeat(300_000);
  expect(await outcome(verifierOf(issuer.url, clock), key)).toBe("keys-unavailable");
});

test("JWKS: malformed or unsuitable keys never verify a token", async () => {
  const issuer = await startIssuer();
  const clock = { ms: Date.now() };
  const good = jwk(pair("a"));
  const rsa = generateKeyPairSync("rsa", { modulusLength: 1_024 }).publicKey.export({ format: "jwk" });

  for (const odd of [
    { ...good, x: "", y: "" },
    { ...good, x: good.y, y: good.x },
    { ...good, crv: "P-384" },
    { ...good, kty: "oct", k: "AAAA" },
    { ...good, alg: "none" },
    { ...good, use: "enc" },
    { ...good, key_ops: ["sign"] },
    { ...rsa, kid: "a" },
    { ...rsa, kid: "a", n: "AA", e: "AQ" },
    JSON.parse('{"__proto__":{"kty":"EC"},"kid":"a"}'),
    { kty: "EC", kid: "a", crv: "P-256", x: { toString: 1 }, y: null },
  ]) {
    issuer.keys = [odd, odd];
    expect(await outcome(verifierOf(issuer.url, clock), pair("a")), JSON.stringify(odd)).not.toBe("ok");
  }
});

test("JWKS: a token without a kid is checked with every key of its type", async () => {
  const issuer = await startIssuer();
  const [first, second] = [pair(), pair()];
  issuer.keys = [jwk(first), jwk(second), jwk(pair("other"))];
  const clock = { ms: Date.now() };
  const verifier = verifierOf(issuer.url, clock);

  expect(await outcome(verifier, first)).toBe("ok");
  expect(await outcome(verifier, second)).toBe("ok");
  clock.ms += 30_000;
  expect(await outcome(verifier, pair())).toBe("signature");
});

test("JWKS: a symmetric key in the set is ignored", async () => {
  const issuer = await startIssuer();
  const secret = Buffer.alloc(32, "s");
  issuer.keys = [{ kty: "oct", k: secret.toString("base64url"), alg: "HS256", kid: "a" }];
  const verifier = verifierOf(issuer.url, { ms: Date.now() });

  const token = await new SignJWT({}).setProtectedHeader({ alg: "HS256", kid: "a" }).sign(secret);

  expect(await verifier.verify(token)).toEqual({ ok: false, reason: "signature" });
});
