import { createSecretKey, createSign, generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createLog } from "@fanwire/service";
import { SignJWT } from "jose";
import { afterEach, expect, test, vi } from "vitest";
import { createTokenVerifier, type TokenVerifier } from "./verifier.ts";

type PublicKey = { readonly kid: string | undefined; readonly publicKey: KeyObject };
type Pair = PublicKey & { readonly privateKey: KeyObject };

const pair = (kid?: string): Pair => ({ kid, ...generateKeyPairSync("ec", { namedCurve: "P-256" }) });
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
const jwk = ({ kid, publicKey }: PublicKey) => ({
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

/** Creates a verifier. `clock` is for the fetches of keys, and claims are compared with `now`. */
function verifierOf(url: URL, clock: { ms: number }, options: { now?(): number; fetchesAtStart?: boolean } = {}) {
  const log = createLog("test", "silent");
  const warn = vi.spyOn(log, "warn");
  const verifier = createTokenVerifier(
    { keys: { kind: "jwks", url }, audience: undefined, issuer: undefined, leewaySeconds: 5, publicTopics: [] },
    { log, monotonicNow: () => clock.ms, ...options },
  );
  return Object.assign(verifier, { warn });
}

const outcomeOf = async (verifier: TokenVerifier, token: string) => {
  const result = await verifier.verify(token);
  return result.ok ? "ok" : result.reason;
};
const outcome = async (verifier: TokenVerifier, key: Pair) => outcomeOf(verifier, await sign(key));

/** Starts an issuer with the keys, and a verifier that has fetched them and accepted a token of the first one. */
async function startWith(key: Pair, ...others: PublicKey[]) {
  const issuer = await startIssuer();
  const clock = { ms: Date.now() };
  issuer.keys = [key, ...others].map(jwk);
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
    { ...secret.export({ format: "jwk" }), kid: "secret", alg: "HS256" },
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

test("JWKS: invented key ids cause at most one fetch per cooldown, and are not remembered", async () => {
  const { issuer, clock, verifier } = await startWith(pair("real"));
  const remember = vi.spyOn(Map.prototype, "set");

  for (let at = 0; at < 20; at++) expect(await outcome(verifier, pair(`invented-${at}`))).toBe("keys-unavailable");
  expect(issuer.fetches).toBe(1);
  clock.ms += 30_000;
  expect(await outcome(verifier, pair("invented"))).toBe("signature");
  for (let at = 0; at < 20; at++) expect(await outcome(verifier, pair(`invented-${at}`))).toBe("keys-unavailable");
  expect(issuer.fetches).toBe(2);
  expect(remember.mock.calls.filter(([name]) => String(name).includes("invented"))).toEqual([]);
});

test("JWKS: ten thousand tokens are remembered until the next fetch, and further ones have to be sent again", async () => {
  const { clock, verifier } = await startWith(pair("real"));
  const head = `${encode({ alg: "ES256", kid: "invented" })}.${encode({})}`;
  const forged = (at: number) => `${head}.${Buffer.from(String(at).padStart(64)).toString("base64url")}`;

  for (let at = 0; at <= 10_000; at++) await verifier.verify(forged(at));
  clock.ms += 30_000;
  expect(await outcome(verifier, pair("another"))).toBe("signature");

  expect(await outcomeOf(verifier, forged(9_999))).toBe("signature");
  expect(await outcomeOf(verifier, forged(10_000))).toBe("keys-unavailable");
});

test("JWKS: an unusable key is logged once after each fetch", async () => {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 1_024 });
  const { issuer, clock, verifier } = await startWith(pair("good"), { kid: "weak", publicKey });
  const token = `${encode({ alg: "RS256", kid: "weak" })}.${encode({})}.AA`;

  for (const logged of [1, 2]) {
    for (let times = 0; times < 2; times++) expect(await outcomeOf(verifier, token)).toBe("keys-unavailable");
    expect(verifier.warn).toHaveBeenCalledTimes(logged);
    clock.ms += 1_200_000;
  }
  expect(verifier.warn).toHaveBeenCalledWith(
    expect.objectContaining({ host: issuer.url.host }),
    "unusable key in the token key set",
  );
});

test.each([
  ["another kid", "old", "new"],
  ["the kid of the earlier key", "same", "same"],
  ["no kid", undefined, undefined],
])("JWKS: a token of a key added after the last fetch is retried and then accepted: %s", async (_, oldKid, newKid) => {
  const [oldKey, newKey] = [pair(oldKid), pair(newKid)];
  const { issuer, clock, verifier } = await startWith(oldKey);

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
  const others = await Promise.all([pair("another"), pair("third")].map(sign));

  expect(await outcomeOf(verifier, forged)).toBe("keys-unavailable");
  clock.ms += 30_000;
  // They share one fetch.
  const outcomes = others.map((token) => outcomeOf(verifier, token));
  expect(await Promise.all(outcomes)).toEqual(["signature", "signature"]);

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
  const { verifier } = await startWith(pair());

  for (const kid of ["7", "null", "{}", "[".repeat(12_000) + "]".repeat(12_000)]) {
    const header = Buffer.from(`{"alg":"ES256","kid":${kid}}`).toString("base64url");
    expect(verifier.verify(`${header}.e30.AA`), kid.slice(0, 9)).toEqual({ ok: false, reason: "malformed" });
  }
});

test("JWKS: a token of a key that was used before is verified at once", async () => {
  const keys = [pair("a"), pair("b")] as const;
  const { verifier } = await startWith(...keys);
  expect(await outcome(verifier, keys[1])).toBe("ok");

  for (const key of keys) expect(verifier.verify(await sign(key))).toMatchObject({ ok: true });
});

test("JWKS: a revoked key is rejected after the next refresh", async () => {
  const [withdrawn, kept] = [pair("withdrawn"), pair("kept")];
  const { issuer, clock, verifier } = await startWith(withdrawn, kept);

  issuer.keys = [jwk(kept)];
  clock.ms += 600_000;

  await vi.waitFor(async () => expect(await outcome(verifier, withdrawn)).toBe("keys-unavailable"));
  clock.ms += 30_000;
  expect(await outcome(verifier, withdrawn)).toBe("signature");
  expect(await outcome(verifier, kept)).toBe("ok");
});

test("JWKS: a quiet worker fetches the set before it accepts a token, so that a withdrawn key is refused at once", async () => {
  const [withdrawn, kept] = [pair("withdrawn"), pair("kept")];
  const { issuer, clock, verifier } = await startWith(withdrawn, kept);

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

test("JWKS: a system clock that is set delays no fetch, and causes none", async () => {
  const [oldKey, newKey] = [pair("old"), pair("new")];
  const { issuer, clock, verifier } = await startWith(oldKey);
  const now = vi.spyOn(Date, "now");

  issuer.keys = [jwk(newKey)];
  now.mockReturnValue(clock.ms + 86_400_000);
  expect([await outcome(verifier, oldKey), await outcome(verifier, newKey)]).toEqual(["ok", "keys-unavailable"]);
  now.mockReturnValue(0);
  clock.ms += 30_000;

  expect(await outcome(verifier, newKey)).toBe("ok");
  expect(issuer.fetches).toBe(2);
});

test("JWKS: without a fetch at start the first token causes one, and the absence of its key is final", async () => {
  const issuer = await startIssuer();
  issuer.keys = [jwk(pair("a"))];
  const verifier = verifierOf(issuer.url, { ms: Date.now() }, { fetchesAtStart: false });

  expect(await outcome(verifier, pair("b"))).toBe("signature");
  expect(issuer.fetches).toBe(1);
});

test("JWKS: a token that meets a defect after it has waited for its key is refused", async () => {
  const issuer = await startIssuer();
  const key = pair("a");
  issuer.keys = [jwk(key)];
  const now = () => {
    throw new Error("defect");
  };

  expect(await outcome(verifierOf(issuer.url, { ms: Date.now() }, { now }), key)).toBe("malformed");
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
  expect(verifier.warn).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({ host: stopped.url.host }),
    "token keys unavailable",
  );
});

test("JWKS: cached keys stay valid for a day while the issuer is down", async () => {
  const key = pair("a");
  const { issuer, clock, verifier } = await startWith(key);

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
  const second = pair();
  const { clock, verifier } = await startWith(pair(), second, pair("other"));

  expect(await outcome(verifier, second)).toBe("ok");
  clock.ms += 30_000;
  expect(await outcome(verifier, pair())).toBe("signature");
});

test("JWKS: sixteen keys are tried in one tick", async () => {
  const last = pair();
  const { verifier } = await startWith(pair(), ...Array.from({ length: 31 }, () => pair()), last);
  const token = await sign(last);
  let ticks = 0;
  let counting = setImmediate(function count() {
    ticks++;
    counting = setImmediate(count);
  });

  const verified = await outcomeOf(verifier, token);
  clearImmediate(counting);

  expect([verified, ticks]).toEqual(["ok", 2]);
});
