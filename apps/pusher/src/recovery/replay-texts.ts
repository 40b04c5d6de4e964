import { formatPosition, type Position } from "@fanwire/protocol";
import type { Encoding, JoinedFrames } from "../connections/client-protocol.ts";
import { DecodedPublication } from "../fanout/decoded-publication.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import type { Publication } from "../wire/publication.ts";

/** One copy of a publication, with everything that its text depends on. */
export type CopyToEncode<Format extends Encoding = Encoding> = {
  readonly encoding: Format;
  readonly subscription: SharedSubscription;
  readonly received: Received;
  readonly isLastCopy: boolean;
  /** Whether the whole connection recovers, or one subscription, which has a separate position. */
  readonly kind: "connection" | "subscription";
};

/** Returns a publication with the positions that a connection needs while it catches up. */
export function toPublication({
  subscription,
  received,
  isLastCopy,
  kind,
}: Omit<CopyToEncode, "encoding">): Publication {
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

/** Encodes missed publications. Clients that need the same copy share one text. */
export class ReplayTexts {
  readonly #texts = new WeakMap<JoinedFrames, WeakMap<SharedSubscription, Map<string, Texts>>>();

  of(copy: CopyToEncode<JoinedFrames>): string {
    const { encoding, subscription, received, isLastCopy, kind } = copy;
    const bySubscription = this.#texts.get(encoding) ?? new WeakMap<SharedSubscription, Map<string, Texts>>();
    this.#texts.set(encoding, bySubscription);
    const byKind = bySubscription.get(subscription) ?? new Map<string, Texts>();
    bySubscription.set(subscription, byKind);
    const key = `${isLastCopy} ${kind}`;
    const texts: Texts = byKind.get(key) ?? new WeakMap();
    byKind.set(key, texts);
    const text = texts.get(received) ?? encoding.encode(toPublication(copy));
    texts.set(received, text);
    return text;
  }
}
