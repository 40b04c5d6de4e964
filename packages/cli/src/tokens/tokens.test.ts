import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { testIo } from "../testing.ts";
import { checkToken } from "./check.ts";
import { mintToken } from "./mint.ts";

const SECRET = "a secret of more than thirty-two bytes";
const rights = { user: "alice", topics: ["orders.*"], publish: ["chat"], presence: ["lobby"], info: { name: "Alice" } };
const folder = mkdtempSync(join(tmpdir(), "fanwire-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

const keyPairs = {
  rsa: () => generateKeyPairSync("rsa", { modulusLength: 2_048 }),
  ec: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ed25519: () => generateKeyPairSync("ed25519"),
};

function keyFiles(kind: keyof typeof keyPairs) {
  const { privateKey, publicKey } = keyPairs[kind]();
  const [secretFile, publicFile] = [join(folder, `${kind}.key`), join(folder, `${kind}.pub`)];
  writeFileSync(secretFile, privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(publicFile, publicKey.export({ type: "spki", format: "pem" }));
  return { secretFile, publicFile };
}

/** Returns a token that was signed with the secret. */
const minted = (wrong: object = {}) =>
  mintToken(testIo({ PUSHER_TOKEN_SECRET: SECRET }).io, { ...rights, ...wrong, lifetimeSeconds: 60 });

test("a token that was signed with the secret is valid, with its rights and its expiry", async () => {
  const checked = await checkToken(testIo({ PUSHER_TOKEN_SECRET: SECRET }).io, await minted());

  expect(checked.isVerified).toBe(true);
  expect(checked.grant).toMatchObject(rights);
  expect((checked.expiresAt ?? 0) - Date.now() / 1_000).toBeGreaterThan(50);
});

test.each(["rsa", "ec", "ed25519"] as const)(
  "a token of a private %s key is valid for its public key",
  async (kind) => {
    const { secretFile, publicFile } = keyFiles(kind);
    const { io } = testIo({ PUSHER_TOKEN_PUBLIC_KEY_FILE: publicFile });

    const token = await mintToken(io, { ...rights, lifetimeSeconds: undefined, keyFile: secretFile });

    expect(await checkToken(io, token)).toMatchObject({ isVerified: true, grant: rights, expiresAt: undefined });
  },
);

test("audience and issuer of the variables are put into the token and required of it", async () => {
  const asked = { PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_AUDIENCE: "push", PUSHER_TOKEN_ISSUER: "shop" };
  const token = await mintToken(testIo(asked).io, { ...rights, lifetimeSeconds: 60 });

  expect((await checkToken(testIo(asked).io, token)).isVerified).toBe(true);
  const other = testIo({ ...asked, PUSHER_TOKEN_AUDIENCE: "other" });
  await expect(checkToken(other.io, token)).rejects.toThrow('aud is "push", PUSHER_TOKEN_AUDIENCE is other');
});

test("without a key the claims are shown as not verified", async () => {
  expect(await checkToken(testIo({}).io, await minted())).toMatchObject({ isVerified: false, grant: rights });
  await expect(checkToken(testIo({}).io, "no token")).rejects.toThrow("it is no JWT");
});

test("a token that pushers would refuse is not signed", async () => {
  await expect(minted({ topics: ["a.>.b"] })).rejects.toThrow('topics: "a.>.b" is no topic or pattern');
  await expect(minted({ user: "" })).rejects.toThrow("sub (the user) must be 1 to 255 bytes of text");
  await expect(minted({ info: "x".repeat(1_100) })).rejects.toThrow("info is longer than 1024 bytes");
});

test.each([
  ["another key has signed it", { PUSHER_TOKEN_SECRET: "another secret of more than 32 bytes!" }],
  ["at least 32 bytes", { PUSHER_TOKEN_SECRET: "short" }],
  ["Set one of PUSHER_TOKEN_SECRET", { PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_JWKS_URL: "http://127.0.0.1:1/" }],
  ["holds a private key", { PUSHER_TOKEN_PUBLIC_KEY_FILE: keyFiles("ec").secretFile }],
  ["PUSHER_TOKEN_LEEWAY_SECONDS: must be", { PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_LEEWAY_SECONDS: "301" }],
  ["PUSHER_TOKEN_LEEWAY_SECONDS: must be", { PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_LEEWAY_SECONDS: "1e1" }],
  ["PUSHER_TOKEN_AUDIENCE and PUSHER_PUBLIC_TOPICS", { PUSHER_TOKEN_AUDIENCE: "push", PUSHER_PUBLIC_TOPICS: "news" }],
  ["without credentials", { PUSHER_TOKEN_JWKS_URL: "https://a:b@keys.example/" }],
])("a token is refused with another key, and with variables with which no pusher starts: %s", async (message, env) => {
  await expect(checkToken(testIo(env).io, await minted())).rejects.toThrow(message);
});

test("a token that names no key is checked with each key of the set", async () => {
  const keys = [0, 1].map(() => generateKeyPairSync("ed25519"));
  const jwks = { keys: keys.map(({ publicKey }) => publicKey.export({ format: "jwk" })) };
  const server = createServer((_, response) => response.end(JSON.stringify(jwks)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { io } = testIo({ PUSHER_TOKEN_JWKS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
  const file = join(folder, "second.key");

  const signedBy = (keyFile: string) => mintToken(testIo({}).io, { ...rights, lifetimeSeconds: 60, keyFile });
  for (const { privateKey } of keys) {
    writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }));
    expect((await checkToken(io, await signedBy(file))).isVerified).toBe(true);
  }
  const foreign = await signedBy(keyFiles("ed25519").secretFile);
  await expect(checkToken(io, foreign)).rejects.toThrow("another key has signed it");
  server.close();
});
