import { formatPosition, type Position } from "@fanwire/protocol";
import { encodeFanwire, encodeSse } from "./core/encoding.ts";
import { decode } from "./delivery.ts";
import type { Listening, Received } from "./listening.ts";

/** One copy of a publication as one client needs it. */
export type Wanted = {
  readonly door: "fanwire.v1" | "sse";
  readonly listening: Listening;
  readonly received: Received;
  readonly isLastCopy: boolean;
  /** Whether the whole connection catches up, or one subscription, which has a position of its own. */
  readonly kind: "connection" | "subscription";
};

export function encode({ door, listening, received, isLastCopy, kind }: Wanted): string {
  const { message, position, arrival } = received;
  const resume = isLastCopy || position === undefined ? undefined : formatPosition(copyOf(position, listening));
  const plain = position && formatPosition(position);
  const decoded = { topic: listening.topicOf(message), pattern: listening.pattern };
  if (door === "sse") return encodeSse(decode(message, { ...decoded, position: resume ?? plain }));
  if (kind === "connection") {
    return encodeFanwire(decode(message, { ...decoded, position: plain }), { isRecovered: arrival === 0, resume });
  }
  const since = plain;
  return encodeFanwire(decode(message, { ...decoded, position: undefined }), {
    isRecovered: since !== undefined,
    since,
  });
}

function copyOf({ epoch, sequence }: Position, { tag }: Listening): Position {
  return { epoch, sequence: sequence - 1, copy: tag };
}

/** Texts of publications that many clients missed: one for all that need the same copy. */
export class ReplayTexts {
  readonly #texts = new WeakMap<Listening, Map<string, WeakMap<Received, string>>>();

  of(wanted: Wanted): string {
    const { door, listening, received, isLastCopy, kind } = wanted;
    const byKind = this.#texts.get(listening) ?? new Map<string, WeakMap<Received, string>>();
    this.#texts.set(listening, byKind);
    const key = `${door} ${isLastCopy} ${kind}`;
    const texts = byKind.get(key) ?? new WeakMap<Received, string>();
    byKind.set(key, texts);
    const text = texts.get(received) ?? encode(wanted);
    texts.set(received, text);
    return text;
  }
}
