import { formatPosition, type Position } from "@fanwire/protocol";
import type { BatchedFrames } from "../connections/client-protocol.ts";
import { DecodedPublication } from "../fanout/decoded-publication.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import type { Publication } from "../wire/publication.ts";

/** One copy of a publication, with everything that its text depends on, except for the encoding. */
export type Copy = {
  readonly subscription: SharedSubscription;
  readonly received: Received;
  readonly isLastCopy: boolean;
  /** Whether the whole connection recovers, or one subscription, which has a separate position. */
  readonly kind: "connection" | "subscription";
};

/** Returns a publication with the positions that a connection needs while it catches up. */
export function toPublication({ subscription, received, isLastCopy, kind }: Copy): Publication {
  const { message, position, arrival } = received;
  const plain = position && formatPosition(position);
  if (kind === "subscription") {
    return new DecodedPublication(message, { subscription, since: plain, isRecovered: plain !== undefined });
  }
  const resume = isLastCopy || position === undefined ? undefined : formatPosition(copyOf(position, subscription));
  return new DecodedPublication(message, { subscription, position: plain, resume, isRecovered: arrival === 0 });
}

function copyOf({ epoch, sequence }: Position, { tag }: SharedSubscription): Position {
  return { epoch, sequence: sequence - 1, copy: tag };
}

type Texts = WeakMap<Received, string>;

/** The texts of one subscription in one encoding, by all else that they depend on. */
class SubscriptionTexts {
  readonly #ofConnection = { last: new WeakMap<Received, string>(), other: new WeakMap<Received, string>() };
  readonly #ofSubscription: Texts = new WeakMap();

  for({ isLastCopy, kind }: Copy): Texts {
    if (kind === "subscription") return this.#ofSubscription;
    return isLastCopy ? this.#ofConnection.last : this.#ofConnection.other;
  }
}

/** Encodes missed publications. Clients that need the same copy share one text. */
export class ReplayTexts {
  readonly #texts = new WeakMap<BatchedFrames, WeakMap<SharedSubscription, SubscriptionTexts>>();

  /** Is called once for each missed publication of each client, so it allocates nothing for a known text. */
  of(encoding: BatchedFrames, copy: Copy): string {
    const texts = this.#textsOf(encoding, copy.subscription).for(copy);
    const known = texts.get(copy.received);
    if (known !== undefined) return known;
    const text = encoding.encode(toPublication(copy));
    texts.set(copy.received, text);
    return text;
  }

  #textsOf(encoding: BatchedFrames, subscription: SharedSubscription): SubscriptionTexts {
    let bySubscription = this.#texts.get(encoding);
    if (bySubscription === undefined) {
      bySubscription = new WeakMap();
      this.#texts.set(encoding, bySubscription);
    }
    let texts = bySubscription.get(subscription);
    if (texts === undefined) {
      texts = new SubscriptionTexts();
      bySubscription.set(subscription, texts);
    }
    return texts;
  }
}
