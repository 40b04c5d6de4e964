import type { StoredPublication } from "@fanwire/bus";
import { matchesTopic } from "@fanwire/protocol";
import { coversPattern } from "./core/claims.ts";
import type { Listening } from "./listening.ts";
import type { ReplayPart } from "./replay-cache.ts";

/** What was read of the history for one subscription. */
export type ListenedPart = ReplayPart & { readonly listening: Listening };

export type Reading = { readonly widest: Listening; readonly covered: Listening[] };

/** What is to be read: a pattern that matches all that others match is read once, for them too. */
export function byWidest(listenings: readonly Listening[]): Reading[] {
  const patterns = listenings.filter(({ pattern, isExact }) => pattern !== undefined && !isExact);
  const isCovered = (listening: Listening) => patterns.some((each) => each !== listening && covers(each, listening));
  const readings = new Map(
    listenings
      .filter((each) => !isCovered(each))
      .map((widest): [Listening, Reading] => [widest, { widest, covered: [] }]),
  );
  for (const listening of listenings) {
    if (readings.has(listening)) continue;
    const widest = patterns.find((each) => readings.has(each) && covers(each, listening));
    if (widest) readings.get(widest)?.covered.push(listening);
  }
  return [...readings.values()];
}

/** Splits what was read by subscription. */
export function listenedParts({ widest, covered }: Reading, part: ReplayPart): ListenedPart[] {
  const ofCovered = covered.map((listening) => ({ ...part, listening, publications: ownOf(listening, part) }));
  return [{ ...part, listening: widest }, ...ofCovered];
}

function covers({ pattern: wide = "" }: Listening, { pattern }: Listening): boolean {
  return pattern !== undefined && coversPattern(wide, pattern);
}

function ownOf({ pattern = "" }: Listening, { publications }: ReplayPart): StoredPublication[] {
  return publications.filter(({ target }) => target.kind === "topic" && matchesTopic(pattern, target.topic));
}
