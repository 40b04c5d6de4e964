import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRemoteJWKSet, type JWTVerifyGetKey } from "jose";
import { CommandError, type Io } from "../io.ts";

const MIN_SECRET_BYTES = 32;

export type SigningKey = { readonly key: KeyObject; readonly algorithm: string };
export type VerifyingKey = { readonly key: KeyObject | JWTVerifyGetKey; readonly algorithms: string[] };

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

/** Returns the key with which pushers check tokens, by the same variables; undefined if none is set. */
export function verifyingKey({ env }: Io): VerifyingKey | undefined {
  const { PUSHER_TOKEN_SECRET: secret, PUSHER_TOKEN_PUBLIC_KEY_FILE: file, PUSHER_TOKEN_JWKS_URL: url } = env;
  if (secret) return { key: secretKey(secret), algorithms: ["HS256"] };
  if (file) {
    const key = readKey(file, createPublicKey);
    const algorithm = algorithmOf(key, file);
    return { key, algorithms: algorithm === "EdDSA" ? ["EdDSA", "Ed25519"] : [algorithm] };
  }
  if (!url) return undefined;
  if (!URL.canParse(url)) throw new CommandError("PUSHER_TOKEN_JWKS_URL is no URL.");
  return { key: createRemoteJWKSet(new URL(url)), algorithms: ["RS256", "ES256", "EdDSA", "Ed25519"] };
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
