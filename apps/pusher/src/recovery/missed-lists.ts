import { countSubjects, type StoredPublication } from "@fanwire/bus";
import type { Position, Subjects } from "@fanwire/protocol";
import { lastSequenceOf } from "../history/foreign-position.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import { mergeAllInSlices } from "../pacing/sort-in-slices.ts";
import type { TimeSlices } from "../pacing/time-slices.ts";
import type { SubscriptionPart } from "./shared-reads.ts";

/** A publication that a client has to receive, by one of its subscriptions. */
export type Missed = { readonly subscription: SharedSubscription; readonly received: Received };

/** The list of the last client, for one subscription. The next client has probably missed the same. */
type MissedByOne = {
  readonly subscription: SharedSubscription;
  readonly upTo: number;
  readonly copy: string | undefined;
  readonly missed: readonly Missed[];
};

type MergedLists = { readonly lists: readonly (readonly Missed[])[]; readonly merged: Promise<readonly Missed[]> };

/**
 * Lists what clients have missed. Clients that have missed the same get the same list, so that ten thousand of them
 * can share its frames.
 */
export class MissedLists {
  readonly #subjects: Subjects;
  readonly #slices: TimeSlices;
  /** By the result of a shared read. */
  readonly #counts = new WeakMap<readonly StoredPublication[], ReadonlyMap<string, number>>();
  readonly #lists = new WeakMap<readonly StoredPublication[], MissedByOne>();
  /** By the first of the merged lists. The next client has probably missed the same, by the same subscriptions. */
  readonly #merged = new WeakMap<readonly Missed[], MergedLists>();
  /** Clients that missed the same publication share one object, and the text encoded for it. */
  readonly #received = new WeakMap<StoredPublication, Received>();

  constructor(subjects: Subjects, slices: TimeSlices) {
    this.#subjects = subjects;
    this.#slices = slices;
  }

  /** Returns the number of publications of each subject. */
  countsOf({ publications }: SubscriptionPart): ReadonlyMap<string, number> {
    const known = this.#counts.get(publications);
    if (known) return known;
    const counts = countSubjects(publications);
    this.#counts.set(publications, counts);
    return counts;
  }

  /** Returns what one subscription missed, in stream order. */
  of({ subscription, publications }: SubscriptionPart, since: Position, upTo: number): readonly Missed[] {
    const { copy } = since;
    const known = this.#lists.get(publications);
    if (known?.subscription === subscription && known.upTo === upTo && known.copy === copy) return known.missed;
    const missed = publications
      .filter(({ sequence }) => sequence <= upTo)
      .map((publication): Missed => ({ subscription, received: this.#receivedFrom(publication, since.epoch) }))
      .filter(({ received }) => !hasCopy(since, received, subscription));
    this.#lists.set(publications, { subscription, upTo, copy, missed });
    return missed;
  }

  /**
   * Merges what several subscriptions missed, in slices: in stream order, and the copies of each publication in the
   * order in which every worker sends them.
   */
  async merged(all: readonly (readonly Missed[])[]): Promise<readonly Missed[]> {
    const lists = all.filter(({ length }) => length > 0);
    const [first = []] = lists;
    if (lists.length <= 1) return first;
    const known = this.#merged.get(first);
    if (known?.lists.length === lists.length && known.lists.every((list, at) => list === lists[at]))
      return known.merged;
    const merged = this.#slices.carryOut(mergeAllInSlices(lists, inOrderOfDelivery));
    this.#merged.set(first, { lists, merged });
    return merged;
  }

  #receivedFrom(publication: StoredPublication, epoch: string): Received {
    const known = this.#received.get(publication);
    if (known) return known;
    const { sequence, subject: stored, content: data, headers } = publication;
    const subject = this.#subjects.liveOf(stored) ?? "";
    const message = { subject, data, headers, respond: () => false };
    const received = { message, position: { epoch, sequence }, arrival: 0 };
    this.#received.set(publication, received);
    return received;
  }
}

function inOrderOfDelivery(one: Missed, other: Missed): number {
  return (
    sequenceOf(one.received) - sequenceOf(other.received) || (one.subscription.tag < other.subscription.tag ? -1 : 1)
  );
}

/** Returns the sequence of a stored publication; -1 for a live one. */
export function sequenceOf(received: Received | undefined): number {
  return received?.position?.sequence ?? -1;
}

/** Whether a client that resumes from `since` has this copy of a publication already. */
export function hasCopy(since: Position, received: Received, { tag }: SharedSubscription): boolean {
  return since.copy !== undefined && sequenceOf(received) === lastSequenceOf(since) && tag <= since.copy;
}
