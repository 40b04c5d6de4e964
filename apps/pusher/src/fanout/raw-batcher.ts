import { isUtf8 } from "node:buffer";
import { CORKFUL_BYTES, toCorkfuls } from "./corked-write.ts";
import type { SlowConsumerBuffer } from "./slow-consumers.ts";
import type { SubscriberGroups } from "./subscriber-groups.ts";
import { TickEnd } from "./tick-end.ts";

/** A group writes 32 frames at a time to each socket: so many in one turn, */
const BURST = 64;
/** or so many bytes, are a burst. */
const BURST_BYTES = CORKFUL_BYTES;
const MAX_BYTES = 1_048_576;

/**
 * Gathers what one turn of the loop brings for the same group of the raw protocol, where a message is a frame and nothing can be
 * joined. Mostly that is little, and the group writes it. A burst is written socket by socket: that takes a fraction of the system calls.
 */
export class RawBatcher {
  readonly #groups: Pick<SubscriberGroups, "publish">;
  readonly #bursts: Pick<SlowConsumerBuffer, "takes" | "write">;
  readonly #turnEnd = new TickEnd(() => {
    this.flush();
    this.#isTreePending = false;
  });
  /** A group was published to in this turn, and what it does not write before the end of the turn may still wait in it. */
  #isTreePending = false;
  #group = "";
  #bytes = 0;
  #gathered: Uint8Array[] = [];

  constructor(groups: Pick<SubscriberGroups, "publish">, bursts: Pick<SlowConsumerBuffer, "takes" | "write">) {
    this.#groups = groups;
    this.#bursts = bursts;
  }

  publish(group: string, content: Uint8Array): void {
    if (this.#gathered.length > 0 && (this.#group !== group || this.#bytes >= MAX_BYTES)) this.flush();
    if (this.#gathered.length === 0) {
      this.#group = group;
      this.#bytes = 0;
      this.#turnEnd.ask();
    }
    this.#gathered.push(content);
    this.#bytes += content.length;
  }

  /** Writes what is pending. To be called before anything else is written, and before anybody joins or leaves a group. */
  flush(): void {
    const gathered = this.#gathered;
    if (gathered.length === 0) return;
    this.#gathered = [];
    const isBurst = gathered.length >= BURST || this.#bytes > BURST_BYTES;
    if (this.#bursts.takes(this.#group, isBurst)) this.#bursts.write(this.#group, this.#corkfuls(gathered));
    else this.#leaveToTree(gathered);
  }

  #leaveToTree(gathered: readonly Uint8Array[]): void {
    this.#isTreePending = true;
    for (const content of gathered) this.#groups.publish(this.#group, content, !isUtf8(content));
  }

  #corkfuls(gathered: readonly Uint8Array[]) {
    if (!this.#isTreePending) return toCorkfuls(gathered);
    // Before it sends anything else uWebSockets.js writes what waits in groups, and ends the cork with it: so the first goes alone.
    return [...toCorkfuls(gathered.slice(0, 1)), ...toCorkfuls(gathered.slice(1))];
  }
}
