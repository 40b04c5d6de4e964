import { SignJWT } from "jose";
import { CommandError, type Io } from "../io.ts";
import { claimsProblem } from "./claims-problem.ts";
import { signingKey } from "./keys.ts";

export type MintRequest = {
  readonly user?: string;
  /** Topics and patterns. */
  readonly topics: readonly string[];
  readonly publish: readonly string[];
  readonly presence: readonly string[];
  /** Any JSON value. */
  readonly info?: unknown;
  /** Lifetime in seconds; undefined for a token that never expires. */
  readonly lifetimeSeconds: number | undefined;
  /** Path of a private key in PEM; undefined for PUSHER_TOKEN_SECRET. */
  readonly keyFile?: string | undefined;
};

/** Signs a token as pushers with the same variables expect it. @throws CommandError that names the problem. */
export async function mintToken(io: Io, request: MintRequest): Promise<string> {
  const { user, topics, publish, presence, info, lifetimeSeconds, keyFile } = request;
  const { PUSHER_TOKEN_AUDIENCE: audience, PUSHER_TOKEN_ISSUER: issuer } = io.env;
  const claims = {
    ...(user !== undefined && { sub: user }),
    topics,
    ...(publish.length > 0 && { publish }),
    ...(presence.length > 0 && { presence }),
    ...(info !== undefined && { info }),
    ...(audience && { aud: audience }),
    ...(issuer && { iss: issuer }),
  };
  const problem = claimsProblem(claims);
  if (problem !== undefined) throw new CommandError(`Pushers would refuse this token: ${problem}.`);
  const { key, algorithm } = signingKey(io, keyFile);
  const now = Math.floor(Date.now() / 1_000);
  const token = new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: "JWT" }).setIssuedAt(now);
  if (lifetimeSeconds !== undefined) token.setExpirationTime(now + lifetimeSeconds);
  return token.sign(key);
}
