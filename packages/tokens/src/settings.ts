import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { isTopicPattern } from "@fanwire/protocol";
import { ConfigError, type readSettings, setting } from "@fanwire/service";
import { algorithmsFor, MIN_RSA_BITS } from "./signed-token.ts";

const MIN_SECRET_BYTES = 32;

export const tokenSettings = {
  PUSHER_TOKEN_SECRET: setting
    .optionalText()
    .refine(
      (text) => text === undefined || Buffer.byteLength(text) >= MIN_SECRET_BYTES,
      `must be at least ${MIN_SECRET_BYTES} bytes`,
    )
    .describe(
      `Secret that tokens (JWT) are signed with, HS256; at least ${MIN_SECRET_BYTES} bytes. If none of the three key settings is set, authentication is off: every client may subscribe to every topic that is not restricted.`,
    ),
  PUSHER_TOKEN_PUBLIC_KEY_FILE: setting
    .optionalText()
    .describe("Path of the public key (PEM) that verifies tokens; its type selects RS256, ES256 or EdDSA."),
  PUSHER_TOKEN_JWKS_URL: setting
    .optionalText()
    .refine((text) => text === undefined || isFetchable(text), "must be an http or https URL without credentials")
    .describe("URL of the key set (JWKS) that verifies tokens; keys may be rotated at any time."),
  PUSHER_TOKEN_AUDIENCE: setting.optionalText().describe("Required `aud` of every token."),
  PUSHER_TOKEN_ISSUER: setting.optionalText().describe("Required `iss` of every token."),
  PUSHER_TOKEN_LEEWAY_SECONDS: setting
    .integer({ min: 0, max: 300, default: 5 })
    .describe("Allowed clock difference to the token issuer."),
  PUSHER_PUBLIC_TOPICS: setting
    .list("")
    .refine((patterns) => patterns.every(isTopicPattern), "must be topics or patterns, comma-separated")
    .describe("Topics and patterns that every client may subscribe to, with or without a token. Needs a key setting."),
};

/** The source of the keys and their algorithms, which the token never chooses. */
export type TokenKeys =
  | { readonly kind: "none" }
  | { readonly kind: "key"; readonly key: KeyObject; readonly algorithms: readonly string[] }
  | { readonly kind: "jwks"; readonly url: URL };

export type TokenConfig = {
  readonly keys: TokenKeys;
  readonly audience: string | undefined;
  readonly issuer: string | undefined;
  readonly leewaySeconds: number;
  readonly publicTopics: readonly string[];
};

type TokenValues = ReturnType<typeof readSettings<typeof tokenSettings>>;

/** @throws ConfigError if the variables contradict each other or the key file is unusable. */
export function tokenConfigFrom(values: TokenValues): TokenConfig {
  return {
    keys: keysFrom(values),
    audience: values.PUSHER_TOKEN_AUDIENCE,
    issuer: values.PUSHER_TOKEN_ISSUER,
    leewaySeconds: values.PUSHER_TOKEN_LEEWAY_SECONDS,
    publicTopics: values.PUSHER_PUBLIC_TOPICS,
  };
}

function keysFrom(values: TokenValues): TokenKeys {
  const { PUSHER_TOKEN_SECRET: secret, PUSHER_TOKEN_PUBLIC_KEY_FILE: keyFile, PUSHER_TOKEN_JWKS_URL: url } = values;
  if ([secret, keyFile, url].filter((value) => value !== undefined).length > 1) {
    throw new ConfigError(
      "Set one of PUSHER_TOKEN_SECRET, PUSHER_TOKEN_PUBLIC_KEY_FILE and PUSHER_TOKEN_JWKS_URL, not several.",
    );
  }
  if (secret !== undefined) return { kind: "key", key: createSecretKey(secret, "utf8"), algorithms: ["HS256"] };
  if (keyFile !== undefined) return publicKeyFrom(keyFile);
  return url === undefined ? withoutKeys(values) : { kind: "jwks", url: new URL(url) };
}

/** Refuses settings that only make sense with a key, because their operator believes that tokens are checked. */
function withoutKeys(values: TokenValues): TokenKeys {
  const needKeys = ["PUSHER_TOKEN_AUDIENCE", "PUSHER_TOKEN_ISSUER", "PUSHER_PUBLIC_TOPICS"] as const;
  const given = needKeys.filter((name) => (values[name]?.length ?? 0) > 0);
  if (given.length === 0) return { kind: "none" };
  throw new ConfigError(
    `${given.join(" and ")} need a key: PUSHER_TOKEN_SECRET, PUSHER_TOKEN_PUBLIC_KEY_FILE or PUSHER_TOKEN_JWKS_URL.`,
  );
}

function publicKeyFrom(path: string): TokenKeys {
  const key = readPublicKey(path);
  const algorithms = algorithmsFor(key);
  if (algorithms.length === 0) {
    throw new ConfigError(
      `PUSHER_TOKEN_PUBLIC_KEY_FILE must hold an RSA key of at least ${MIN_RSA_BITS} bits, a P-256 key or an Ed25519 key.`,
    );
  }
  return { kind: "key", key, algorithms };
}

function readPublicKey(path: string): KeyObject {
  let pem: string;
  try {
    pem = readFileSync(path, "utf8");
  } catch (cause) {
    throw new ConfigError(`PUSHER_TOKEN_PUBLIC_KEY_FILE cannot be read: ${path}`, { cause });
  }
  // Node would derive the public key, but a private key does not belong on a public server.
  if (pem.includes("PRIVATE KEY")) throw new ConfigError("PUSHER_TOKEN_PUBLIC_KEY_FILE holds a private key.");
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new ConfigError(`PUSHER_TOKEN_PUBLIC_KEY_FILE holds no public key in PEM: ${path}`, { cause });
  }
}

/** `fetch` refuses URLs with credentials. */
function isFetchable(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === "https:" || protocol === "http:") && username === "" && password === "";
}
