import type { StoredPublication } from "@fanwire/bus";
import { matchesTopic } from "@fanwire/protocol";
import { coversPattern } from "@fanwire/tokens";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import type { ReplayPart } from "./replay-cache.ts";

/** The part of the history that was read for one subscription. */
export type SubscriptionPart = ReplayPart & { readonly subscription: SharedSubscription };

export type SharedRead = { readonly widest: SharedSubscription; readonly covered: SharedSubscription[] };

/** Groups subscriptions into reads. One read of a pattern also serves the subscriptions that it covers. */
export function groupIntoReads(subscriptions: readonly SharedSubscription[]): SharedRead[] {
  const patterns = subscriptions.filter(({ pattern, isExact }) => pattern !== undefined && !isExact);
  const isCovered = (subscription: SharedSubscription) =>
    patterns.some((each) => each !== subscription && covers(each, subscription));
  const reads = new Map(
    subscriptions
      .filter((each) => !isCovered(each))
      .map((widest): [SharedSubscription, SharedRead] => [widest, { widest, covered: [] }]),
  );
  for (const subscription of subscriptions) {
    if (reads.has(subscription)) continue;
    const widest = patterns.find((each) => reads.has(each) && covers(each, subscription));
    if (widest) reads.get(widest)?.covered.push(subscription);
  }
  return [...reads.values()];
}

/** Splits the result of a read by subscription. */
export function partsOfSubscriptions({ widest, covered }: SharedRead, part: ReplayPart): SubscriptionPart[] {
  const ofCovered = covered.map((subscription) => ({ ...part, subscription, publications: ownOf(subscription, part) }));
  return [{ ...part, subscription: widest }, ...ofCovered];
}

function covers({ pattern: wide = "" }: SharedSubscription, { pattern }: SharedSubscription): boolean {
  return pattern !== undefined && coversPattern(wide, pattern);
}

function ownOf({ pattern = "" }: SharedSubscription, { publications }: ReplayPart): StoredPublication[] {
  return publications.filter(({ target }) => target.kind === "topic" && matchesTopic(pattern, target.topic));
}
