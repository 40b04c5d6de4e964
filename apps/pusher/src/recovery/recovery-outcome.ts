import { formatPosition, type NotRecovered, type Position } from "@fanwire/protocol";
import type { Replay } from "./replay-reader.ts";

export type RecoveryOutcome = {
  /** `null`: the client did not resume. */
  readonly recovered: boolean | null;
  /** Why the client did not recover. */
  readonly reason?: NotRecovered;
  /** Position from which the client starts. Later publications have their own. */
  readonly position: string | undefined;
};

/** Positions from which a client may start: its own, and the one after which it receives publications. */
type Start = { readonly since: string | undefined; readonly startsAfter: Position | undefined };

/** A client with a replay starts from its own position, because each missed publication advances it. */
export function startOf(
  { since, startsAfter }: Start,
  replay: Replay | NotRecovered | undefined,
): Pick<RecoveryOutcome, "position"> {
  return { position: typeof replay === "object" ? since : startsAfter && formatPosition(startsAfter) };
}

/** Returns whether a client recovers. */
export function resultOf(replay: Replay | NotRecovered | undefined): Omit<RecoveryOutcome, "position"> {
  if (replay === undefined) return { recovered: null };
  return typeof replay === "string" ? { recovered: false, reason: replay } : { recovered: true };
}

/** Returns what a trace shows of a resume. */
export function tracedResult(isWanted: boolean, replay: Replay | NotRecovered) {
  if (!isWanted) return { recovered: null, replayed: 0 };
  const replayed = typeof replay === "string" ? 0 : replay.missed.length;
  return { ...resultOf(replay), replayed };
}
