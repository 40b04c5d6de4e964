export {
  anonymousGrant,
  type Claims,
  coversPattern,
  type Grant,
  MAX_CLAIMED_PATTERNS,
  mayBePresent,
  mayPublish,
  maySubscribe,
  OPEN_GRANT,
} from "./grant.ts";
export { type TokenConfig, tokenConfigFrom, tokenSettings } from "./settings.ts";
export { algorithmsFor } from "./signed-token.ts";
export { unverifiedClaims, unverifiedGrant } from "./unverified.ts";
export { createTokenVerifier, type TokenRefusal, type TokenResult, type TokenVerifier } from "./verifier.ts";
