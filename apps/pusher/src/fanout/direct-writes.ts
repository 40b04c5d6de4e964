import { isUtf8 } from "node:buffer";
import type { Connection } from "../connections/connection.ts";
import { type Joining, joinToFrames } from "../wire/join-frames.ts";
import { toCorkfuls, writeCorkful } from "./corked-write.ts";
import { TickEnd } from "./tick-end.ts";

/** What is written to, as far as it goes: `send` gives 2 to one that is over its limit and is being ended. */
type Receiver = Pick<Connection, "send" | "cork" | "getBufferedAmount">;
type Write<Content> = (receiver: Receiver, contents: readonly Content[]) => void;

/**
 * Gathers what one turn of the loop brings for connections that follow something alone, as most do of what is their own: such
 * a thing takes no group, which would cost memory and time of its own.
 */
export class DirectWrites<Content extends string | Uint8Array> {
  readonly #write: Write<Content>;
  readonly #turnEnd = new TickEnd(() => this.flush());
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
    if (this.#pending.size === 0) this.#turnEnd.ask();
    this.#pending.set(receiver, [content]);
  }

  /** Writes what is pending. To be called before anything else is written. */
  flush(): void {
    if (this.#pending.size === 0) return;
    const pending = this.#pending;
    this.#pending = new Map();
    for (const [receiver, contents] of pending) this.#write(receiver, contents);
  }

  /** It has closed: it must not be written to any more. */
  forget(receiver: Receiver): void {
    this.#pending.delete(receiver);
  }
}

/** Where a message is a frame. */
export function writeEach(receiver: Receiver, contents: readonly Uint8Array[]): void {
  const [content] = contents;
  if (content && contents.length === 1) receiver.send(content, !isUtf8(content));
  else for (const corkful of toCorkfuls(contents)) if (writeCorkful(receiver, corkful) === 2) return;
}

/** Where messages can be joined. */
export function writeJoined(joining: Joining): Write<string> {
  return (receiver, messages) => {
    const [message] = messages;
    if (message !== undefined && messages.length === 1) {
      receiver.send(message);
      return;
    }
    // Until it is over its limit and is being ended.
    for (const frame of joinToFrames(messages, joining)) if (receiver.send(frame) === 2) return;
  };
}
