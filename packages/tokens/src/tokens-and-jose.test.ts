import { createHmac, createSecretKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createLog } from "@fanwire/service";
import fc from "fast-check";
import { type JWTPayload, jwtVerify } from "jose";
import { expect, test } from "vitest";
import { grantFrom } from "./grant.ts";
import { createTokenVerifier } from "./verifier.ts";

const NOW = 1_800_000_000;
const LEEWAY = 5;
const expected = { audience: "hub", issuer: "us" };

type Case = { readonly algorithms: string[]; readonly key: KeyObject; readonly signer: (text: string) => Buffer };

const secret = createSecretKey("s".repeat(32), "utf8");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");

const cases: Case[] = [
  { algorithms: ["HS256"], key: secret, signer: (text) => createHmac("sha256", secret).update(text).digest() },
  { algorithms: ["RS256"], key: rsa.publicKey, signer: (text) => sign("sha256", Buffer.from(text), rsa.privateKey) },
  {
    algorithms: ["ES256"],
    key: ec.publicKey,
    signer: (text) => sign("sha256", Buffer.from(text), { key: ec.privateKey, dsaEncoding: "ieee-p1363" }),
  },
  {
    algorithms: ["EdDSA", "Ed25519"],
    key: ed.publicKey,
    signer: (text) => sign(null, Buffer.from(text), ed.privateKey),
  },
];

/** Mostly the first value, so that a good part of all tokens is accepted. */
function mostly<Value>(usual: Value, ...others: unknown[]): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 12, arbitrary: fc.constant<unknown>(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
}

const times = [NOW - 6, NOW - 5, NOW - 4, NOW, NOW + 5, NOW + 6, 0.5, -1, "1800000060", null, true, [NOW]];
const headers = (algorithms: string[]) =>
  fc.record({
    alg: mostly(algorithms[0], ...algorithms, "none", "None", "HS256", "RS256", "ES256", "PS256", "HS512", "", 7, null),
    typ: mostly("JWT", undefined, "at+jwt", 7, null),
    crit: mostly(undefined, null, [], ["exp"], ["b64"], ["b64", "b64"], "b64", false, 0, ""),
    b64: mostly(undefined, true, false, "false"),
    kid: mostly(undefined, "a", 7, ["a"]),
    jku: mostly(undefined, "http://127.0.0.1:1/"),
    jwk: mostly(undefined, ec.publicKey.export({ format: "jwk" })),
  });
const claims = fc.record({
  sub: mostly("7", undefined),
  exp: mostly(NOW + 60, undefined, ...times),
  nbf: mostly(undefined, ...times),
  iat: mostly(NOW, undefined, ...times),
  aud: mostly("hub", ["shop", "hub"], [], ["shop"], "shop", 7, null, undefined, { hub: 1 }, [["hub"]]),
  iss: mostly("us", ["us"], "them", "", null, undefined),
});
/** Changes the JSON in ways that `JSON.stringify` has no means for. */
const rewrite = mostly<(json: Buffer) => Buffer>(
  (json) => json,
  (json: Buffer) => Buffer.concat([Buffer.from('{"exp":1,"alg":"none",'), json.subarray(1)]),
  (json: Buffer) => Buffer.concat([json.subarray(0, -1), Buffer.from(',"exp":1e400}')]),
  (json: Buffer) => Buffer.concat([json.subarray(0, -1), Buffer.from(',"exp":1}')]),
  (json: Buffer) => Buffer.concat([json.subarray(0, -1), Buffer.from(',"__proto__":{"exp":1}}')]),
  (json: Buffer) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), json]),
  (json: Buffer) =>
    Buffer.concat([json.subarray(0, -1), Buffer.from(',"x":"'), Buffer.from([0xff]), Buffer.from('"}')]),
  (json: Buffer) => Buffer.concat([json, Buffer.from("\n")]),
  (json: Buffer) => Buffer.concat([json, Buffer.from("x")]),
  (json: Buffer) => Buffer.concat([Buffer.from("["), json, Buffer.from("]")]),
  () => Buffer.from("null"),
  () => Buffer.alloc(0),
) as fc.Arbitrary<(json: Buffer) => Buffer>;
/** Changes the text of the finished token. */
const damage = fc.oneof(
  { weight: 3, arbitrary: fc.constant((token: string) => token) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.nat(),
        fc.nat(2),
        fc.oneof(fc.constantFrom("", ".", "=", "==", "A", "B", "-", "+", "/", " ", "\n", "é"), fc.string()),
      )
      .map(([place, removed, inserted]) => (token: string) => {
        // From the end, since most of what matters is the last character of a part.
        const at = token.length - (place % 3 === 0 ? 0 : place % (token.length + 1));
        return token.slice(0, Math.max(0, at - removed)) + inserted + token.slice(at);
      }),
  },
);

const parts = /^([\w-]*)\.([\w-]*)\.([\w-]*)$/;
/** Stricter than jose on purpose: one spelling for each token, no critical extensions, and no kid but a string. */
function isPlain(token: string): boolean {
  const [, ...texts] = parts.exec(token) ?? [];
  const isCanonical = texts.length === 3 && texts.every((text) => reencoded(text) === text);
  return isCanonical && !/"crit":|"kid":(?!")/.test(Buffer.from(texts[0] ?? "", "base64url").toString());
}
const reencoded = (text: string) => Buffer.from(text, "base64url").toString("base64url");

async function joseAccepts(token: string, { key, algorithms }: Case): Promise<boolean> {
  try {
    const { payload } = await jwtVerify<JWTPayload>(token, key, {
      ...expected,
      algorithms,
      clockTolerance: LEEWAY,
      currentDate: new Date(NOW * 1_000),
    });
    return grantFrom(payload, { leewaySeconds: LEEWAY, publicTopics: [] }) !== undefined;
  } catch {
    return false;
  }
}

test.each(cases)("the verifier and jose agree on mutated tokens: $algorithms", async (it) => {
  const { key, algorithms, signer } = it;
  const config = {
    keys: { kind: "key" as const, key, algorithms },
    ...expected,
    leewaySeconds: LEEWAY,
    publicTopics: [],
  };
  const verifier = createTokenVerifier(config, { log: createLog("test", "silent"), now: () => NOW * 1_000 });
  const pem = key.type === "public" ? key.export({ type: "spki", format: "pem" }) : "x";
  const signers = mostly(
    signer,
    (text: string) => createHmac("sha256", pem).update(text).digest(),
    (text: string) => Buffer.concat([signer(text), Buffer.from([0])]),
    (text: string) => signer(text).subarray(1),
    (text: string) => sign("sha256", Buffer.from(text), ec.privateKey),
    () => Buffer.alloc(0),
    () => Buffer.alloc(64),
  ) as fc.Arbitrary<(text: string) => Buffer>;
  const count = { accepted: 0, refused: 0 };

  await fc.assert(
    fc.asyncProperty(
      fc.tuple(headers(algorithms), rewrite),
      fc.tuple(claims, rewrite),
      signers,
      damage,
      async (header, payload, signWith, damaged) => {
        const texts = [header, payload].map(([json, change]) =>
          change(Buffer.from(JSON.stringify(json))).toString("base64url"),
        );
        const signed = texts.join(".");
        const token = damaged(`${signed}.${signWith(signed).toString("base64url")}`);

        const { ok } = await verifier.verify(token);

        count[ok ? "accepted" : "refused"]++;
        expect(ok, token).toBe(isPlain(token) && (await joseAccepts(token, it)));
      },
    ),
    { numRuns: 1_000 },
  );
  expect(count.accepted).toBeGreaterThan(100);
  expect(count.refused).toBeGreaterThan(100);
});
