import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRemoteJWKSet, type JWTVerifyGetKey } from "jose";
import { CommandError, type Io } from "../io.ts";

const MIN_SECRET_BYTES = 32;
const DEFAULT_LEEWAY_SECONDS = 5;
const MAX_LEEWAY_SECONDS = 300;
/** Both names of EdDSA over that curve. */
const ED25519_ALGORITHMS = ["EdDSA", "Ed25519"];
/** Variables that mean nothing without a key. */
const NEED_KEYS = ["PUSHER_TOKEN_AUDIENCE", "PUSHER_TOKEN_ISSUER", "PUSHER_PUBLIC_TOPICS"] as const;

export type SigningKey = { readonly key: KeyObject; readonly algorithm: string };
export type VerifyingKey = {
  readonly key: KeyObject | JWTVerifyGetKey;
  readonly algorithms: string[];
  /** Allowed difference between the clocks. */
  readonly leewaySeconds: number;
};

/** Returns the private key of the file, else the secret of the environment. @throws CommandError if there is neither. */
export function signingKey(io: Io, keyFile: string | undefined): SigningKey {
  if (keyFile !== undefined) {
    const key = readKey(keyFile, createPrivateKey);
    return { key, algorithm: algorithmOf(key, keyFile) };
  }
  const { PUSHER_TOKEN_SECRET: secret } = io.env;
  if (!secret) {
    throw new CommandError(
      "There is no key to sign with. Set PUSHER_TOKEN_SECRET, or give a private key with --key-file.",
    );
  }
  return { key: secretKey(secret), algorithm: "HS256" };
}

/**
 * Returns the key with which pushers check tokens, by the same variables; undefined if none is set.
 *
 * @throws CommandError if pushers with these variables would not start.
 */
export function verifyingKey({ env }: Io): VerifyingKey | undefined {
  const { PUSHER_TOKEN_SECRET: secret, PUSHER_TOKEN_PUBLIC_KEY_FILE: file, PUSHER_TOKEN_JWKS_URL: url } = env;
  if ([secret, file, url].filter(Boolean).length > 1) {
    throw new CommandError(
      "Set one of PUSHER_TOKEN_SECRET, PUSHER_TOKEN_PUBLIC_KEY_FILE and PUSHER_TOKEN_JWKS_URL, not several.",
    );
  }
  const leewaySeconds = leewayOf(env);
  if (secret) return { key: secretKey(secret), algorithms: ["HS256"], leewaySeconds };
  if (file) return { ...publicKeyOf(file), leewaySeconds };
  if (url) return { key: keySetAt(url), algorithms: ["RS256", "ES256", ...ED25519_ALGORITHMS], leewaySeconds };
  const useless = NEED_KEYS.filter((name) => /[^\s,]/.test(env[name] ?? ""));
  if (useless.length === 0) return undefined;
  throw new CommandError(
    `${useless.join(" and ")} need a key: PUSHER_TOKEN_SECRET, PUSHER_TOKEN_PUBLIC_KEY_FILE or PUSHER_TOKEN_JWKS_URL.`,
  );
}

function leewayOf({ PUSHER_TOKEN_LEEWAY_SECONDS: text }: Io["env"]): number {
  if (!text) return DEFAULT_LEEWAY_SECONDS;
  if (/^[0-9]{1,15}$/.test(text) && Number(text) <= MAX_LEEWAY_SECONDS) return Number(text);
  throw new CommandError(`PUSHER_TOKEN_LEEWAY_SECONDS must be a whole number from 0 to ${MAX_LEEWAY_SECONDS}.`);
}

function publicKeyOf(path: string): Pick<VerifyingKey, "key" | "algorithms"> {
  const key = readKey(path, (pem) => {
    // Node would derive the public key, but pushers refuse a private one.
    if (pem.includes("PRIVATE KEY")) throw new Error("it is a private key");
    return createPublicKey(pem);
  });
  const algorithm = algorithmOf(key, path);
  return { key, algorithms: algorithm === "EdDSA" ? ED25519_ALGORITHMS : [algorithm] };
}

function keySetAt(text: string): JWTVerifyGetKey {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isFetchable = url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
  if (isFetchable) return createRemoteJWKSet(url);
  throw new CommandError("PUSHER_TOKEN_JWKS_URL must be an http or https URL without credentials.");
}

function secretKey(secret: string): KeyObject {
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    throw new CommandError(`PUSHER_TOKEN_SECRET must be at least ${MIN_SECRET_BYTES} bytes.`);
  }
  return createSecretKey(secret, "utf8");
}

function readKey(path: string, parse: (pem: string) => KeyObject): KeyObject {
  try {
    return parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new CommandError(`${path} holds no usable key in PEM: ${(cause as Error).message}`, { cause });
  }
}

function algorithmOf(key: KeyObject, path: string): string {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "rsa" && modulusLength >= 2_048) return "RS256";
  if (key.asymmetricKeyType === "ec" && namedCurve === "prime256v1") return "ES256";
  if (key.asymmetricKeyType === "ed25519") return "EdDSA";
  throw new CommandError(`${path} must hold an RSA key of at least 2048 bits, a P-256 key or an Ed25519 key.`);
}
