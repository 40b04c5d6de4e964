import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, readSettings } from "@fanwire/service";
import { afterAll, expect, test } from "vitest";
import { tokenConfigFrom, tokenSettings } from "./settings.ts";

const folder = mkdtempSync(join(tmpdir(), "fanwire-keys-"));
afterAll(() => rmSync(folder, { recursive: true }));

const read = (env: Record<string, string>) => tokenConfigFrom(readSettings(tokenSettings, env));
const secret = "щ".repeat(16);

function keyFile(name: string, content: KeyObject | string, type: "spki" | "pkcs8" = "spki"): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : content.export({ type, format: "pem" }));
  return path;
}

test("without keys, authentication is off", () => {
  expect(read({})).toEqual({
    keys: { kind: "none" },
    audience: undefined,
    issuer: undefined,
    leewaySeconds: 5,
    publicTopics: [],
  });
});

test("a secret allows HS256 only, and JSON.stringify does not reveal it", () => {
  const config = read({
    PUSHER_TOKEN_SECRET: secret,
    PUSHER_TOKEN_AUDIENCE: "hub",
    PUSHER_TOKEN_ISSUER: "us",
    PUSHER_TOKEN_LEEWAY_SECONDS: "0",
    PUSHER_PUBLIC_TOPICS: "news.>, weather.*",
  });

  expect(config).toMatchObject({
    keys: { kind: "key", algorithms: ["HS256"] },
    audience: "hub",
    issuer: "us",
    leewaySeconds: 0,
    publicTopics: ["news.>", "weather.*"],
  });
  expect(JSON.stringify(config)).not.toContain(secret);
});

test("the type of a public key selects its algorithms", () => {
  const keys = {
    RS256: generateKeyPairSync("rsa", { modulusLength: 2_048 }).publicKey,
    ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey,
    EdDSA: generateKeyPairSync("ed25519").publicKey,
  };

  for (const [algorithm, key] of Object.entries(keys)) {
    const config = read({ PUSHER_TOKEN_PUBLIC_KEY_FILE: keyFile(algorithm, key) });
    expect(config.keys.kind === "key" && config.keys.algorithms[0]).toBe(algorithm);
  }
});

test("an unusable public key file is a configuration error that names the variable", () => {
  const files = {
    absent: join(folder, "absent"),
    text: keyFile("text", "no key"),
    private: keyFile("private", generateKeyPairSync("ed25519").privateKey, "pkcs8"),
    weak: keyFile("weak", generateKeyPairSync("rsa", { modulusLength: 1_024 }).publicKey),
    curve: keyFile("curve", generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey),
    exchange: keyFile("exchange", generateKeyPairSync("x25519").publicKey),
  };

  for (const [name, path] of Object.entries(files)) {
    const start = () => read({ PUSHER_TOKEN_PUBLIC_KEY_FILE: path });
    expect(start, name).toThrow(ConfigError);
    expect(start, name).toThrow("PUSHER_TOKEN_PUBLIC_KEY_FILE");
  }
});

test("invalid token settings are refused without repeating their values", () => {
  const wrong = {
    PUSHER_TOKEN_SECRET: "x".repeat(31),
    PUSHER_TOKEN_JWKS_URL: "https://user:password@keys.example/",
    PUSHER_TOKEN_LEEWAY_SECONDS: "-1",
    PUSHER_PUBLIC_TOPICS: "news.>,a.>.b",
  };

  for (const name of Object.keys(wrong)) expect(() => read(wrong)).toThrow(name);
  for (const value of [wrong.PUSHER_TOKEN_SECRET, "password"]) expect(() => read(wrong)).not.toThrow(value);
  const urls = [
    "keys.example",
    "file:///etc/passwd",
    "ftp://a.example/",
    "https://user@a.example",
    "http://:pass@a.example",
  ];
  for (const PUSHER_TOKEN_JWKS_URL of urls) {
    expect(() => read({ PUSHER_TOKEN_JWKS_URL }), PUSHER_TOKEN_JWKS_URL).toThrow(ConfigError);
  }
});

test("two key sources are refused", () => {
  expect(read({ PUSHER_TOKEN_JWKS_URL: "http://127.0.0.1:1/keys" }).keys).toEqual({
    kind: "jwks",
    url: new URL("http://127.0.0.1:1/keys"),
  });
  expect(() => read({ PUSHER_TOKEN_SECRET: secret, PUSHER_TOKEN_JWKS_URL: "https://keys.example/" })).toThrow(
    "not several",
  );
});

test("settings that need a key are refused without one", () => {
  for (const name of ["PUSHER_TOKEN_AUDIENCE", "PUSHER_TOKEN_ISSUER", "PUSHER_PUBLIC_TOPICS"]) {
    expect(() => read({ [name]: "a" }), name).toThrow(name);
  }
});
