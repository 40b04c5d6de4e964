import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from "jose";
import { CommandError, type Io } from "../io.ts";
import { type Rights, readRights } from "./claims.ts";
import { checkFormat } from "./format.ts";
import { type VerifyingKey, verifyingKey } from "./keys.ts";

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
  checkFormat(token);
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

async function verify({ env }: Io, token: string, { key, algorithms, leewaySeconds }: VerifyingKey) {
  const { PUSHER_TOKEN_AUDIENCE: audience, PUSHER_TOKEN_ISSUER: issuer } = env;
  const options = {
    algorithms,
    clockTolerance: leewaySeconds,
    ...(audience && { audience }),
    ...(issuer && { issuer }),
  };
  try {
    return await (typeof key === "function" ? verifyByKeySet(token, key, options) : verifyBy(token, key, options));
  } catch (cause) {
    throw new CommandError(`Pushers refuse this token: ${reasonOf(cause)}`, { cause });
  }
}

async function verifyBy(token: string, key: Parameters<typeof jwtVerify>[1], options: JWTVerifyOptions) {
  return (await jwtVerify(token, key, options)).payload;
}

/** Tries each key that fits the token, as pushers do. */
async function verifyByKeySet(token: string, keys: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return await verifyBy(token, key, options);
      } catch (refusal) {
        if (!(refusal instanceof errors.JWSSignatureVerificationFailed)) throw refusal;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
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
