import type { StreamInfo } from "@nats-io/jetstream";

/** A source that has received nothing for this time, although it is behind, is stalled. */
const STALLED_AFTER_MS = 30_000;

/** Detects that a stream with a source has stopped behind it. */
export class StalledSource {
  #seen = "";
  #seenAt = 0;

  /** Must be called with each description. Returns whether the stream has received nothing for 30 s although it is behind. */
  isStalled({ state, created, sources = [] }: StreamInfo): boolean {
    const now = performance.now();
    const isBehind = sources.some(({ lag }) => lag > 0);
    const seen = isBehind ? `${created} ${state.last_seq}` : "";
    if (seen !== this.#seen) this.#seenAt = now;
    this.#seen = seen;
    return isBehind && now - this.#seenAt >= STALLED_AFTER_MS;
  }
}
