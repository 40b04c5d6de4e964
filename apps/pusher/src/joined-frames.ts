import { type Joining, joinToFrames } from "./core/joining.ts";
import { CORKFUL_BYTES } from "./corkfuls.ts";
import type { SharedBursts } from "./shared-bursts.ts";
import type { Trees } from "./trees.ts";
import { TurnEnd } from "./turn-end.ts";

/** The messages of fanwire.v1 that share a frame. */
export const fanwireJoining: Joining = { separator: "\n", maxBytes: CORKFUL_BYTES };
/** The events that share a write: of a response uWebSockets.js copies only what does not go out. */
export const sseJoining: Joining = { separator: "", maxBytes: 65_536 };

/** No more is gathered than about so many characters. */
const MAX_LENGTH = 1_048_576;

/** Writes frames to all in a tree, one after the other. */
export type FrameWriter = { write(tree: string, frames: readonly Uint8Array[]): void };

/** Frames of fanwire.v1: what is more than one, or larger than joining makes one, is a burst. */
export class WebSocketFrames implements FrameWriter {
  readonly #trees: Trees;
  readonly #bursts: Pick<SharedBursts, "takes" | "write">;

  constructor(trees: Trees, bursts: Pick<SharedBursts, "takes" | "write">) {
    this.#trees = trees;
    this.#bursts = bursts;
  }

  write(tree: string, frames: readonly Uint8Array[]): void {
    const isBurst = frames.length > 1 || (frames[0]?.length ?? 0) > CORKFUL_BYTES;
    if (this.#bursts.takes(tree, isBurst)) {
      this.#bursts.write(
        tree,
        frames.map((content) => [{ content, isBinary: false }]),
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
  readonly #joining: Joining;
  readonly #turnEnd = new TurnEnd(() => this.flush());
  #tree = "";
  #messages: string[] = [];
  #length = 0;

  constructor(writer: FrameWriter, joining: Joining) {
    this.#writer = writer;
    this.#joining = joining;
  }

  publish(tree: string, message: string): void {
    if (this.#tree !== tree || this.#length >= MAX_LENGTH) this.flush();
    if (this.#messages.length === 0) {
      this.#tree = tree;
      this.#turnEnd.ask();
    }
    this.#messages.push(message);
    this.#length += message.length;
  }

  /** Writes what is pending. To be called before anything else is written, and before anybody joins or leaves a tree. */
  flush(): void {
    if (this.#messages.length === 0) return;
    const frames = joinToFrames(this.#messages, this.#joining);
    this.#messages = [];
    this.#length = 0;
    this.#writer.write(this.#tree, frames);
  }
}
