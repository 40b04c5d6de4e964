import { createLog, readSettings } from "@fanwire/service";
import {
  createTokenVerifier,
  type Grant,
  type TokenConfig,
  type TokenRefusal,
  tokenConfigFrom,
  tokenSettings,
  unverifiedClaims,
  unverifiedGrant,
} from "@fanwire/tokens";
import { CommandError, type Io } from "../io.ts";
import { claimsProblem, registeredClaimsProblem } from "./claims-problem.ts";

export type CheckedToken = {
  /** False if no key is configured: pushers ignore tokens then. */
  readonly isVerified: boolean;
  readonly grant: Grant;
  /** Unix seconds; undefined for a token that never expires. */
  readonly expiresAt: number | undefined;
};

/** Returns how pushers with these variables check tokens. @throws ConfigError if they would not start. */
export function tokenConfig({ env }: Io): TokenConfig {
  return tokenConfigFrom(readSettings(tokenSettings, env));
}

/**
 * Checks a token as pushers with the same variables do. @throws CommandError with the reason for which they refuse it.
 */
export async function checkToken(io: Io, token: string): Promise<CheckedToken> {
  const config = { ...tokenConfig(io), publicTopics: [] };
  const claims = unverifiedClaims(token);
  if (claims === undefined) throw new CommandError("Pushers refuse this token: it is no JWT, or not as they read one.");
  const isVerified = config.keys.kind !== "none";
  const grant = isVerified ? await verify(token, config) : unverifiedGrant(claims);
  if (grant === undefined) throw new CommandError(`Pushers would refuse this token: ${claimsProblem(claims)}.`);
  const { exp } = claims;
  return { isVerified, grant, expiresAt: typeof exp === "number" ? exp : undefined };
}

async function verify(token: string, config: TokenConfig): Promise<Grant> {
  const result = await createTokenVerifier(config, { log: createLog("token", "silent"), fetchesAtStart: false }).verify(
    token,
  );
  if (result.ok) return result.grant;
  throw new CommandError(`Pushers refuse this token: ${describeRefusal(result.reason, token, config)}.`);
}

function describeRefusal(reason: TokenRefusal, token: string, config: TokenConfig): string {
  switch (reason) {
    case "malformed":
      return `it is too long with ${token.length} characters`;
    case "signature":
      return "another key has signed it, or its algorithm is not that of the key";
    case "expired":
      return "it has expired";
    case "claims": {
      const claims = unverifiedClaims(token) ?? {};
      return claimsProblem(claims) ?? registeredClaimsProblem(claims, config);
    }
    case "keys-unavailable":
      return "the key set cannot be read, or has no key for it";
  }
}
