import { isName, isTopicPattern } from "@fanwire/protocol";
import type { JWTPayload } from "jose";
import { CommandError } from "../io.ts";

/** Patterns that pushers accept in the claims of one token, and bytes of the JSON text of `info`. */
const MAX_PATTERNS = 1_000;
const MAX_INFO_BYTES = 1_024;

/** Rights of a token, as pushers read them. */
export type Rights = {
  readonly user?: string;
  readonly topics: readonly string[];
  readonly publish: readonly string[];
  readonly presence: readonly string[];
  readonly info?: unknown;
};

/** @throws CommandError that names the claim which pushers would refuse. */
export function readRights({ sub, topics = [], publish = [], presence = [], info, exp }: JWTPayload): Rights {
  // Nothing has checked the types of claims.
  if (sub !== undefined && !(typeof sub === "string" && isName(sub))) {
    throw new CommandError("sub (the user) must be 1 to 255 bytes of text.");
  }
  if (exp !== undefined && !Number.isFinite(exp)) throw new CommandError("exp must be a time in seconds since 1970.");
  const lists = { topics, publish, presence };
  for (const [claim, patterns] of Object.entries(lists)) checkPatterns(claim, patterns);
  const { length } = Object.values(lists).flat();
  if (length > MAX_PATTERNS)
    throw new CommandError(`The claims have ${length} patterns; the maximum is ${MAX_PATTERNS}.`);
  if (!isSmallInfo(info)) {
    throw new CommandError(`info is longer than ${MAX_INFO_BYTES} bytes of JSON.`);
  }
  return {
    ...(sub !== undefined && { user: sub }),
    ...(lists as Pick<Rights, keyof typeof lists>),
    ...(info !== undefined && { info }),
  };
}

/** A value that is nested too deeply has no JSON text. */
function isSmallInfo(info: unknown): boolean {
  try {
    return info === undefined || Buffer.byteLength(JSON.stringify(info)) <= MAX_INFO_BYTES;
  } catch {
    return false;
  }
}

function checkPatterns(claim: string, patterns: unknown): void {
  if (!Array.isArray(patterns)) throw new CommandError(`${claim} must be a list of topics and patterns.`);
  const wrong = patterns.find((each) => typeof each !== "string" || !isTopicPattern(each));
  if (wrong === undefined) return;
  throw new CommandError(
    `${claim}: ${JSON.stringify(wrong)} is no topic or pattern. * is one token, > the rest: orders.*, orders.>`,
  );
}
