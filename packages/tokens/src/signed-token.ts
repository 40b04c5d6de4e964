import { isUtf8 } from "node:buffer";
import { createHmac, type KeyObject, timingSafeEqual, verify } from "node:crypto";

/** A JWT in compact form, decoded. Nothing in it may be trusted before {@link isSignedBy} has returned true. */
export type SignedToken = {
  readonly text: string;
  readonly algorithm: string;
  /** The id of the key that the token names; `undefined` if it names none. */
  readonly kid: string | undefined;
  readonly signedText: string;
  readonly payload: Buffer;
  readonly signature: Uint8Array;
};

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Canonical base64url: no padding, no other characters, no bits set after the last byte. Each token has only one
 * spelling.
 */
const BASE64URL = /^(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?$/;

const BYTE_ORDER_MARK = "\uFEFF";

/** RFC 9864 adds the name Ed25519 for EdDSA over that curve. Issuers use both names. */
const ED25519_ALGORITHMS = ["EdDSA", "Ed25519"];
export const MIN_RSA_BITS = 2_048;
const ES256_SIGNATURE_BYTES = 64;

/** Public-key algorithms. A key set is public, so its keys must never serve as secrets. */
export const PUBLIC_KEY_ALGORITHMS: readonly string[] = ["RS256", "ES256", ...ED25519_ALGORITHMS];

/** Returns the algorithms a key may verify; empty for a key that is too weak or of another kind. */
export function algorithmsFor(key: KeyObject): readonly string[] {
  if (key.type === "secret") return ["HS256"];
  if (key.type !== "public") return [];
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      return modulusLength >= MIN_RSA_BITS ? ["RS256"] : [];
    case "ec":
      return namedCurve === "prime256v1" ? ["ES256"] : [];
    case "ed25519":
      return ED25519_ALGORITHMS;
    default:
      return [];
  }
}

/**
 * Returns `undefined` for text that is no JWT, and for one with critical extensions: this verifier supports none. A
 * `kid` that is no string is refused too, because no key has such an id.
 */
export function parseSignedToken(text: string): SignedToken | undefined {
  const [head, body, tail, ...more] = text.split(".", 4);
  if (head === undefined || body === undefined || tail === undefined || more.length > 0) return undefined;
  const [header, payload, signature] = [parseHeader(head), decode(body), decode(tail)];
  if (header === undefined || payload === undefined || signature === undefined) return undefined;
  const { crit, alg: algorithm, kid } = header;
  if (crit !== undefined || typeof algorithm !== "string") return undefined;
  if (kid !== undefined && typeof kid !== "string") return undefined;
  const signedText = text.slice(0, head.length + 1 + body.length);
  return { text, algorithm, kid, signedText, payload, signature };
}

/** Returns the claims; `undefined` if they are no JSON object in UTF-8. */
export function parseClaims({ payload }: SignedToken): JsonObject | undefined {
  return parseJsonObject(payload);
}

/**
 * Returns whether `key` signed the token. It must be strong enough for the token's algorithm: see {@link
 * algorithmsFor}.
 */
export function isSignedBy(token: SignedToken, key: KeyObject): boolean {
  const { algorithm, signedText, signature } = token;
  switch (algorithm) {
    case "HS256":
      return key.type === "secret" && isMacOf(signedText, key, signature);
    case "RS256":
      return key.asymmetricKeyType === "rsa" && verify("sha256", Buffer.from(signedText), key, signature);
    case "ES256":
      return key.asymmetricKeyType === "ec" && isEs256Signature(signedText, key, signature);
    case "EdDSA":
    case "Ed25519":
      return key.asymmetricKeyType === "ed25519" && verify(null, Buffer.from(signedText), key, signature);
    default:
      return false;
  }
}

function isMacOf(text: string, key: KeyObject, mac: Uint8Array): boolean {
  const expected = createHmac("sha256", key).update(text).digest();
  return expected.length === mac.length && timingSafeEqual(expected, mac);
}

/** A JWT holds both numbers as 32 bytes each, where Node expects DER by default. */
function isEs256Signature(text: string, key: KeyObject, signature: Uint8Array): boolean {
  if (signature.length !== ES256_SIGNATURE_BYTES) return false;
  return verify("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }, signature);
}

function decode(part: string): Buffer | undefined {
  return BASE64URL.test(part) ? Buffer.from(part, "base64url") : undefined;
}

function parseHeader(head: string): JsonObject | undefined {
  const bytes = decode(head);
  return bytes && parseJsonObject(bytes);
}

/** Refuses bytes that are not UTF-8, because their replacement would turn different users into one. */
function parseJsonObject(bytes: Buffer): JsonObject | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString();
  try {
    const value: unknown = JSON.parse(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
