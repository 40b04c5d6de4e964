import { isUtf8 } from "node:buffer";
import { CORKFUL_BYTES, toCorkfuls } from "./corkfuls.ts";
import type { SharedBursts } from "./shared-bursts.ts";
import type { Trees } from "./trees.ts";
import { TurnEnd } from "./turn-end.ts";

/** A tree writes 32 frames at a time to each socket: so many in one turn, */
const BURST = 64;
/** or so many bytes, are a burst. */
const BURST_BYTES = CORKFUL_BYTES;
const MAX_BYTES = 1_048_576;

/**
 * Gathers what one turn of the loop brings for the same tree of the raw door, where a message is a frame and nothing can be
 * joined. Mostly that is little, and the tree writes it. A burst is written socket by socket: that takes a fraction of the system calls.
 */
export class RawBursts {
  readonly #trees: Pick<Trees, "publish">;
  readonly #bursts: Pick<SharedBursts, "takes" | "write">;
  readonly #turnEnd = new TurnEnd(() => {
    this.flush();
    this.#isTreePending = false;
  });
  /** A tree was published to in this turn, and what it does not write before the end of the turn may still wait in it. */
  #isTreePending = false;
  #tree = "";
  #bytes = 0;
  #gathered: Uint8Array[] = [];

  constructor(trees: Pick<Trees, "publish">, bursts: Pick<SharedBursts, "takes" | "write">) {
    this.#trees = trees;
    this.#bursts = bursts;
  }

  publish(tree: string, content: Uint8Array): void {
    if (this.#gathered.length > 0 && (this.#tree !== tree || this.#bytes >= MAX_BYTES)) this.flush();
    if (this.#gathered.length === 0) {
      this.#tree = tree;
      this.#bytes = 0;
      this.#turnEnd.ask();
    }
    this.#gathered.push(content);
    this.#bytes += content.length;
  }

  /** Writes what is pending. To be called before anything else is written, and before anybody joins or leaves a tree. */
  flush(): void {
    const gathered = this.#gathered;
    if (gathered.length === 0) return;
    this.#gathered = [];
    const isBurst = gathered.length >= BURST || this.#bytes > BURST_BYTES;
    if (this.#bursts.takes(this.#tree, isBurst)) this.#bursts.write(this.#tree, this.#corkfuls(gathered));
    else this.#leaveToTree(gathered);
  }

  #leaveToTree(gathered: readonly Uint8Array[]): void {
    this.#isTreePending = true;
    for (const content of gathered) this.#trees.publish(this.#tree, content, !isUtf8(content));
  }

  #corkfuls(gathered: readonly Uint8Array[]) {
    if (!this.#isTreePending) return toCorkfuls(gathered);
    // Before it sends anything else uWebSockets.js writes what waits in trees, and ends the cork with it: so the first goes alone.
    return [...toCorkfuls(gathered.slice(0, 1)), ...toCorkfuls(gathered.slice(1))];
  }
}
