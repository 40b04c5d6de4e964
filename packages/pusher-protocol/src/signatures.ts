import { createHmac, timingSafeEqual } from "node:crypto";

type Key = { readonly key: string; readonly secret: string };

/** Returns the signature of a subscription. `channelData` is the text as the client sends it, for presence channels. */
export function channelSignature(
  secret: string,
  { socketId, channel, channelData }: { socketId: string; channel: string; channelData?: string | undefined },
): string {
  return hmac(secret, channelData === undefined ? `${socketId}:${channel}` : `${socketId}:${channel}:${channelData}`);
}

/** Returns the signature of a signin. `userData` is the text as the client sends it. */
export function signinSignature(secret: string, socketId: string, userData: string): string {
  return hmac(secret, `${socketId}::user::${userData}`);
}

/** Returns the signature of an HTTP request. `query` is one of the texts that `signedTexts` returns. */
export function requestSignature(
  secret: string,
  { method, path, query }: { method: string; path: string; query: string },
): string {
  return hmac(secret, `${method}\n${path}\n${query}`);
}

/** Returns the signature of a webhook's raw body. */
export function webhookSignature(secret: string, body: string | Uint8Array): string {
  return hmac(secret, body);
}

/**
 * Returns whether `auth` is `<key>:<signature>` with one of the keys. `sign` returns the right signature for a secret.
 * Compares in constant time.
 */
export function verifySignedAuth(auth: string, keys: readonly Key[], sign: (secret: string) => string): boolean {
  const colon = auth.indexOf(":");
  const key = keys.find((each) => each.key === auth.slice(0, colon));
  return key !== undefined && isSameText(auth.slice(colon + 1), sign(key.secret));
}

/** Compares two texts in a time that depends on their lengths alone. */
export function isSameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function hmac(secret: string, text: string | Uint8Array): string {
  return createHmac("sha256", secret).update(text).digest("hex");
}
