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

function keyFiles(kind: "rsa" | "ec" | "ed25519"): { readonly secretFile: string; readonly publicFile: string } {
  const { privateKey, publicKey } =
    kind === "rsa"
      ? generateKeyPairSync("rsa", { modulusLength: 2_048 })
      : kind === "ec"
        ? generateKeyPairSync("ec", { namedCurve: "P-256" })
        : generateKeyPairSync("ed25519");
  const [secretFile, publicFile] = [join(folder, `${kind}.key`), join(folder, `${kind}.pub`)];
  writeFileSync(secretFile, privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(publicFile, publicKey.export({ type: "spki", format: "pem" }));
  return { secretFile, publicFile };
}

test("a token that was signed with the secret is valid, with its rights and its expiry", async () => {
  const { io } = testIo({ PUSHER_TOKEN_SECRET: SECRET });

  const token = await mintToken(io, { ...rights, lifetimeSeconds: 60 });
  const checked = await checkToken(io, token);

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

test.each([
  ["another secret", { PUSHER_TOKEN_SECRET: "another secret of more than 32 bytes!" }, "another key has signed it"],
  ["a short secret", { PUSHER_TOKEN_SECRET: "short" }, "at least 32 bytes"],
])("a token is refused with %s", async (_, env, message) => {
  const token = await mintToken(testIo({ PUSHER_TOKEN_SECRET: SECRET }).io, { ...rights, lifetimeSeconds: 60 });

  await expect(checkToken(testIo(env).io, token)).rejects.toThrow(message);
});

test("without a key the claims are shown as not verified", async () => {
  const token = await mintToken(testIo({ PUSHER_TOKEN_SECRET: SECRET }).io, { ...rights, lifetimeSeconds: 60 });

  expect(await checkToken(testIo({}).io, token)).toMatchObject({ isVerified: false, grant: rights });
  await expect(checkToken(testIo({}).io, "no token")).rejects.toThrow("it is no JWT");
});

test.each([
  [{ topics: ["a.>.b"] }, 'topics: "a.>.b" is no topic or pattern'],
  [{ user: "" }, "sub (the user) must be 1 to 255 bytes of text"],
  [{ info: "x".repeat(1_100) }, "info is longer than 1024 bytes"],
  [{ topics: Array<string>(1_001).fill("a") }, "the maximum is 1000"],
])("a token that pushers would refuse is not signed: %j", async (wrong, message) => {
  const { io } = testIo({ PUSHER_TOKEN_SECRET: SECRET });

  await expect(mintToken(io, { ...rights, ...wrong, lifetimeSeconds: 60 })).rejects.toThrow(message);
});

test("variables with which no pusher starts are refused", async () => {
  const { secretFile } = keyFiles("ec");
  const token = await mintToken(testIo({ PUSHER_TOKEN_SECRET: SECRET }).io, { ...rights, lifetimeSeconds: 60 });
  const url = "http://127.0.0.1:1/";

  for (const [env, message] of [
    [{ PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_JWKS_URL: url }, "Set one of PUSHER_TOKEN_SECRET"],
    [{ PUSHER_TOKEN_PUBLIC_KEY_FILE: secretFile }, "holds a private key"],
    [{ PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_LEEWAY_SECONDS: "301" }, "PUSHER_TOKEN_LEEWAY_SECONDS: must be"],
    [{ PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_LEEWAY_SECONDS: "1e1" }, "PUSHER_TOKEN_LEEWAY_SECONDS: must be"],
    [{ PUSHER_TOKEN_AUDIENCE: "push", PUSHER_PUBLIC_TOPICS: "news" }, "PUSHER_TOKEN_AUDIENCE and PUSHER_PUBLIC_TOPICS"],
    [{ PUSHER_TOKEN_JWKS_URL: "https://a:b@keys.example/" }, "without credentials"],
  ] as const) {
    await expect(checkToken(testIo(env).io, token)).rejects.toThrow(message);
  }
});

test("a token that names no key is checked with each key of the set", async () => {
  const keys = [0, 1].map(() => generateKeyPairSync("ed25519"));
  const jwks = { keys: keys.map(({ publicKey }) => publicKey.export({ format: "jwk" })) };
  const server = createServer((_, response) => response.end(JSON.stringify(jwks)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { io } = testIo({ PUSHER_TOKEN_JWKS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
  const file = join(folder, "second.key");

  for (const { privateKey } of keys) {
    writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }));
    const token = await mintToken(testIo({}).io, { ...rights, lifetimeSeconds: 60, keyFile: file });
    expect((await checkToken(io, token)).isVerified).toBe(true);
  }
  const foreign = await mintToken(testIo({}).io, {
    ...rights,
    lifetimeSeconds: 60,
    keyFile: keyFiles("ed25519").secretFile,
  });
  await expect(checkToken(io, foreign)).rejects.toThrow("another key has signed it");
  server.close();
});
