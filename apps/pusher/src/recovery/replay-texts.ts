import { formatPosition, type Position } from "@fanwire/protocol";
import { decode } from "../fanout/fanout.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import { encodeFanwire, encodeSse } from "../wire/encoding.ts";

/** One copy of a publication, with everything that its text depends on. */
export type CopyToEncode = {
  readonly protocol: "fanwire.v1" | "sse";
  readonly subscription: SharedSubscription;
  readonly received: Received;
  readonly isLastCopy: boolean;
  /** Whether the whole connection recovers, or one subscription, which has a position of its own. */
  readonly kind: "connection" | "subscription";
};

export function encode({ protocol, subscription, received, isLastCopy, kind }: CopyToEncode): string {
  const { message, position, arrival } = received;
  const resume = isLastCopy || position === undefined ? undefined : formatPosition(copyOf(position, subscription));
  const plain = position && formatPosition(position);
  const decoded = { topic: subscription.topicOf(message), pattern: subscription.pattern };
  if (protocol === "sse") return encodeSse(decode(message, { ...decoded, position: resume ?? plain }));
  if (kind === "connection") {
    return encodeFanwire(decode(message, { ...decoded, position: plain }), { isRecovered: arrival === 0, resume });
  }
  const since = plain;
  return encodeFanwire(decode(message, { ...decoded, position: undefined }), {
    isRecovered: since !== undefined,
    since,
  });
}

function copyOf({ epoch, sequence }: Position, { tag }: SharedSubscription): Position {
  return { epoch, sequence: sequence - 1, copy: tag };
}

/** Caches the texts of publications that many clients missed, one for all clients that need the same copy. */
export class ReplayTexts {
  readonly #texts = new WeakMap<SharedSubscription, Map<string, WeakMap<Received, string>>>();

  of(copy: CopyToEncode): string {
    const { protocol, subscription, received, isLastCopy, kind } = copy;
    const byKind = this.#texts.get(subscription) ?? new Map<string, WeakMap<Received, string>>();
    this.#texts.set(subscription, byKind);
    const key = `${protocol} ${isLastCopy} ${kind}`;
    const texts = byKind.get(key) ?? new WeakMap<Received, string>();
    byKind.set(key, texts);
    const text = texts.get(received) ?? encode(copy);
    texts.set(received, text);
    return text;
  }
}
