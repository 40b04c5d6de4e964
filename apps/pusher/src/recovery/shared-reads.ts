import type { StoredPublication } from "@fanwire/bus";
import { matchesTopic, type Subjects } from "@fanwire/protocol";
import { coversPattern } from "@fanwire/tokens";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import type { ReplayPart } from "./replay-cache.ts";

/** Maximum number of covered patterns of which one read keeps the lists, because clients choose the patterns. */
const MAX_PATTERNS = 128;
const NONE: readonly never[] = [];

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

type Lists = {
  readonly bySubject: ReadonlyMap<string, readonly StoredPublication[]>;
  readonly byPattern: Map<string, readonly StoredPublication[]>;
};

/** Splits the results of reads by subscription. Clients that share a read share these lists, too. */
export class SplitReads {
  readonly #subjects: Subjects;
  /** By the result of a shared read. */
  readonly #lists = new WeakMap<readonly StoredPublication[], Lists>();

  constructor(subjects: Subjects) {
    this.#subjects = subjects;
  }

  /** Splits the result of one read, with one subscription in each step. */
  *of({ widest, covered }: SharedRead, part: ReplayPart): Generator<unknown, SubscriptionPart[]> {
    const parts: SubscriptionPart[] = [{ ...part, subscription: widest }];
    for (const subscription of covered) {
      parts.push({ ...part, subscription, publications: this.#ownOf(subscription, part.publications) });
      yield;
    }
    return parts;
  }

  #ownOf({ subject, pattern = "", isExact }: SharedSubscription, all: readonly StoredPublication[]) {
    const { bySubject, byPattern } = this.#listsOf(all);
    if (isExact) return bySubject.get(this.#subjects.historyOf(subject) ?? "") ?? NONE;
    const known = byPattern.get(pattern);
    if (known) return known;
    const own = all.filter(({ target }) => target.kind === "topic" && matchesTopic(pattern, target.topic));
    if (byPattern.size < MAX_PATTERNS) byPattern.set(pattern, own);
    return own;
  }

  #listsOf(all: readonly StoredPublication[]): Lists {
    const known = this.#lists.get(all);
    if (known) return known;
    const bySubject = new Map<string, StoredPublication[]>();
    for (const publication of all) {
      const own = bySubject.get(publication.subject);
      if (own) own.push(publication);
      else bySubject.set(publication.subject, [publication]);
    }
    const lists = { bySubject, byPattern: new Map() };
    this.#lists.set(all, lists);
    return lists;
  }
}

function covers({ pattern: wide = "" }: SharedSubscription, { pattern }: SharedSubscription): boolean {
  return pattern !== undefined && coversPattern(wide, pattern);
}
