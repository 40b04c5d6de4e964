import { type Claims, type Grant, grantFrom } from "./grant.ts";
import { parseClaims, parseSignedToken } from "./signed-token.ts";

/** Returns the claims of a token without checking its signature; `undefined` for text that is no JWT. */
export function unverifiedClaims(text: string): Claims | undefined {
  const token = parseSignedToken(text);
  return token && parseClaims(token);
}

/** Returns the rights that claims stand for, without checking their times; `undefined` if one of them is malformed. */
export function unverifiedGrant(claims: Claims): Grant | undefined {
  return grantFrom(claims, { leewaySeconds: 0, publicTopics: [] });
}
