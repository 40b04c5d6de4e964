import type { Trees } from "./trees.ts";
import { TurnEnd } from "./turn-end.ts";

/** A frame is not made longer than this by joining, in characters: as long as those of a replay. */
export const FRAME_LENGTH = 65_536;

/**
 * Joins the messages that one turn of the loop brings for the same tree to one frame: in a burst a socket is written to
 * twenty times less. Only neighbours are joined, so that a connection in several trees hears everything in the order in
 * which it came.
 */
export class JoinedFrames {
  readonly #trees: Trees;
  readonly #separator: string;
  readonly #turnEnd = new TurnEnd(() => this.flush());
  #tree = "";
  #frame = "";

  constructor(trees: Trees, separator: string) {
    this.#trees = trees;
    this.#separator = separator;
  }

  publish(tree: string, message: string): void {
    if (this.#frame !== "" && (this.#tree !== tree || this.#frame.length >= FRAME_LENGTH)) this.flush();
    if (this.#frame === "") {
      this.#tree = tree;
      this.#frame = message;
      this.#turnEnd.ask();
    } else {
      this.#frame += this.#separator + message;
    }
  }

  /** Writes what is pending. To be called before anything else is written, and before anybody joins or leaves a tree. */
  flush(): void {
    if (this.#frame === "") return;
    const frame = this.#frame;
    this.#frame = "";
    this.#trees.publish(this.#tree, frame, false);
  }
}
