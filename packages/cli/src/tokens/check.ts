import { decodeJwt, errors, type JWTPayload, jwtVerify } from "jose";
import { CommandError, type Io } from "../io.ts";
import { type Rights, readRights } from "./claims.ts";
import { verifyingKey } from "./keys.ts";

const DEFAULT_LEEWAY_SECONDS = 5;

export type CheckedToken = {
  /** False if no key is configured: pushers ignore tokens then. */
  readonly isVerified: boolean;
  readonly rights: Rights;
  /** Unix seconds; undefined for a token that never expires. */
  readonly expiresAt: number | undefined;
};

/** Checks a token as pushers with the same variables do. @throws CommandError with the reason for which they refuse it. */
export async function checkToken(io: Io, token: string): Promise<CheckedToken> {
  const verifying = verifyingKey(io);
  const payload = verifying === undefined ? decode(token) : await verify(io, token, verifying);
  return { isVerified: verifying !== undefined, rights: readRights(payload), expiresAt: payload.exp };
}

function decode(token: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch (cause) {
    throw new CommandError("This is no JWT.", { cause });
  }
}

async function verify({ env }: Io, token: string, { key, algorithms }: NonNullable<ReturnType<typeof verifyingKey>>) {
  const { PUSHER_TOKEN_AUDIENCE: audience, PUSHER_TOKEN_ISSUER: issuer, PUSHER_TOKEN_LEEWAY_SECONDS: leeway } = env;
  const options = {
    algorithms,
    clockTolerance: leeway ? Number(leeway) : DEFAULT_LEEWAY_SECONDS,
    ...(audience && { audience }),
    ...(issuer && { issuer }),
  };
  try {
    const { payload } =
      typeof key === "function" ? await jwtVerify(token, key, options) : await jwtVerify(token, key, options);
    return payload;
  } catch (cause) {
    throw new CommandError(`Pushers refuse this token: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "it has expired.";
  if (error instanceof errors.JWTClaimValidationFailed) return `${error.claim} is not as required (${error.reason}).`;
  if (error instanceof errors.JWSSignatureVerificationFailed) return "another key has signed it.";
  if (error instanceof errors.JOSEAlgNotAllowed) return "its algorithm is not that of the configured key.";
  if (error instanceof errors.JWKSNoMatchingKey) return "the key set has no key for it.";
  if (error instanceof errors.JOSEError) return `${error.message}.`;
  return `the key set cannot be read (${(error as Error).message}).`;
}
