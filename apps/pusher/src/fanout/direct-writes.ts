import { isUtf8 } from "node:buffer";
import type { Connection } from "../connections/connection.ts";
import { type Batching, toFrames } from "../wire/batched-frames.ts";
import { toWriteBatches, writeCorked } from "./corked-write.ts";
import { FlushScheduler } from "./flush-scheduler.ts";

/** `send` returns 2 for a connection that is over its limit and is being closed. */
type Receiver = Pick<Connection, "send" | "cork" | "getBufferedAmount">;
type Write<Content> = (receiver: Receiver, contents: readonly Content[]) => void;

/**
 * Batches the publications of one event-loop tick for each sole subscriber. Most subscriptions to users have one. It is
 * in no group, because a group with one member would cost memory and a lookup.
 */
export class DirectWrites<Content extends string | Uint8Array> {
  readonly #write: Write<Content>;
  readonly #scheduler = new FlushScheduler(() => this.flush());
  #pending = new Map<Receiver, Content[]>();

  constructor(write: Write<Content>) {
    this.#write = write;
  }

  push(receiver: Receiver, content: Content): void {
    const contents = this.#pending.get(receiver);
    if (contents) {
      contents.push(content);
      return;
    }
    if (this.#pending.size === 0) this.#scheduler.schedule();
    this.#pending.set(receiver, [content]);
  }

  /** Writes what is pending. Must be called before anything else is written. */
  flush(): void {
    if (this.#pending.size === 0) return;
    const pending = this.#pending;
    this.#pending = new Map();
    for (const [receiver, contents] of pending) this.#write(receiver, contents);
  }

  /** Drops what is pending for a connection that has closed. */
  forget(receiver: Receiver): void {
    this.#pending.delete(receiver);
  }
}

/** Writes each content as a frame. */
export function writeEach(receiver: Receiver, contents: readonly Uint8Array[]): void {
  const [content] = contents;
  if (content && contents.length === 1) receiver.send(content, !isUtf8(content));
  else for (const batch of toWriteBatches(contents)) if (writeCorked(receiver, batch) === 2) return;
}

/** Returns a function that batches messages in frames and writes them. */
export function writeBatched(batching: Batching): Write<string> {
  return (receiver, messages) => {
    const [message] = messages;
    if (message !== undefined && messages.length === 1) {
      receiver.send(message);
      return;
    }
    for (const frame of toFrames(messages, batching)) if (receiver.send(frame) === 2) return;
  };
}
