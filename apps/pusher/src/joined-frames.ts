import { Joiner, type Joining } from "./core/joiner.ts";
import { CORKFUL_BYTES } from "./corkfuls.ts";
import type { SharedBursts } from "./shared-bursts.ts";
import type { Trees } from "./trees.ts";
import { TurnEnd } from "./turn-end.ts";

/** The messages of fanwire.v1 that share a frame. */
export const fanwireJoining: Joining = { separator: "\n", maxBytes: CORKFUL_BYTES };
/** The events that share a write: of a response uWebSockets.js copies only what does not go out. */
export const sseJoining: Joining = { separator: "", maxBytes: 65_536 };

/** No more is gathered than about so many bytes. */
const MAX_BYTES = 1_048_576;

/** Writes frames to all in a tree, one after the other. */
export type FrameWriter = { write(tree: string, frames: readonly string[]): void };

/** Frames of fanwire.v1: what is more than one, or larger than joining makes one, is a burst. */
export class WebSocketFrames implements FrameWriter {
  readonly #trees: Trees;
  readonly #bursts: Pick<SharedBursts, "takes" | "write">;

  constructor(trees: Trees, bursts: Pick<SharedBursts, "takes" | "write">) {
    this.#trees = trees;
    this.#bursts = bursts;
  }

  write(tree: string, frames: readonly string[]): void {
    const isBurst = frames.length > 1 || (frames[0]?.length ?? 0) > CORKFUL_BYTES;
    if (this.#bursts.takes(tree, isBurst)) {
      this.#bursts.write(
        tree,
        frames.map((frame) => [{ content: Buffer.from(frame), isBinary: false }]),
      );
    } else {
      for (const frame of frames) this.#trees.publish(tree, frame, false);
    }
  }
}

/**
 * Joins the messages that one turn of the loop brings for the same tree to frames: in a burst a socket is written to
 * twenty times less. Only neighbours are joined, so that a connection in several trees hears everything in the order in
 * which it came.
 */
export class JoinedFrames {
  readonly #writer: FrameWriter;
  readonly #maxFrames: number;
  readonly #turnEnd = new TurnEnd(() => this.flush());
  #tree = "";
  /** Full ones. */
  #frames: string[] = [];
  readonly #joiner: Joiner;

  constructor(writer: FrameWriter, joining: Joining) {
    this.#writer = writer;
    this.#joiner = new Joiner(joining);
    this.#maxFrames = Math.ceil(MAX_BYTES / joining.maxBytes);
  }

  publish(tree: string, message: string): void {
    if (this.#tree !== tree || this.#frames.length >= this.#maxFrames) this.flush();
    if (this.#joiner.isEmpty) {
      this.#tree = tree;
      this.#turnEnd.ask();
    }
    const full = this.#joiner.push(message);
    if (full !== undefined) this.#frames.push(full);
  }

  /** Writes what is pending. To be called before anything else is written, and before anybody joins or leaves a tree. */
  flush(): void {
    if (this.#joiner.isEmpty) return;
    const frames = [...this.#frames, this.#joiner.take()];
    this.#frames = [];
    this.#writer.write(this.#tree, frames);
  }
}
