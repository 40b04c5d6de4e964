import { SignJWT } from "jose";

export const SECRET = "a secret of more than thirty-two bytes";

type TokenOptions = { readonly expiresInSeconds?: number; readonly secret?: string; readonly alg?: string };

/** Signs a token for pushers with {@link SECRET}. By default it expires after an hour. */
export function signToken(
  claims: Record<string, unknown>,
  { expiresInSeconds = 3_600, secret = SECRET, alg = "HS256" }: TokenOptions = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ iat: now, exp: now + expiresInSeconds, ...claims })
    .setProtectedHeader({ alg })
    .sign(Buffer.from(secret));
}
