import type { Connection } from "./connection.ts";
import type { Connections } from "./core/connections.ts";
import { type FrameWriter, fanwireJoining } from "./joined-frames.ts";
import { type Trees, WALK_FOR_ONE_IN } from "./trees.ts";

type Socket = Pick<Connection, "getUserData" | "isSubscribed" | "send" | "getBufferedAmount">;

type Frame = {
  readonly content: Uint8Array;
  /** Bytes of all frames before it. */
  readonly offset: number;
};

type Parts = {
  readonly trees: Trees;
  readonly connections: Pick<Connections<Socket>, "all" | "size">;
  /** How many bytes may wait for one connection; for who needs more they go to uWebSockets.js, which ends it over its limit. */
  readonly maxBytes: number;
};

/**
 * Writes a burst through fanwire.v1 socket by socket: all of its frames to one connection, then to the next. A connection whose
 * socket is full lags: it keeps its place in a list of frames that all share, where uWebSockets.js would keep a copy for each, and
 * goes on when its socket has drained.
 */
export class SharedFrames implements FrameWriter {
  readonly #parts: Parts;
  /** Whose frames they are. */
  #tree = "";
  /** Of those who lag, from the oldest that somebody was not sent. */
  #frames: Frame[] = [];
  /** The number of the first of them. */
  #first = 0;
  /** Bytes of all frames so far. */
  #end = 0;
  /** Who lags, and the number of the frame that comes next for each. */
  readonly #places = new Map<Socket, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Connections whose sockets are full. */
  get lagging(): number {
    return this.#places.size;
  }

  /** Bytes kept for those who lag, all together. */
  get bytes(): number {
    return this.#end - (this.#frames[0]?.offset ?? this.#end);
  }

  write(tree: string, frames: readonly string[]): void {
    const { trees, connections } = this.#parts;
    if (tree !== this.#tree) this.catchUpAll();
    // A small one uWebSockets.js writes as well, with all else that comes in the turn.
    const isBurst = frames.length > 1 || (frames[0]?.length ?? 0) > fanwireJoining.maxBytes;
    const concerned = isBurst ? trees.count(tree) : this.#places.size;
    if (concerned > 0 && concerned * WALK_FOR_ONE_IN >= connections.size) {
      this.#tree = tree;
      this.#share(frames);
      return;
    }
    this.catchUpAll();
    for (const frame of frames) trees.publish(tree, frame, false);
  }

  /** To be called when what uWebSockets.js had of it was written. */
  drained(connection: Socket): void {
    const place = this.#places.get(connection);
    if (place === undefined || connection.getBufferedAmount() > 0) return;
    this.#places.delete(connection);
    this.#send(connection, this.#framesFrom(place), place);
    if (this.#places.size === 0) this.#forgetWritten();
  }

  /** What is sent to it next comes behind all that was published. */
  catchUp(connection: Socket): void {
    const place = this.#places.get(connection);
    if (place === undefined) return;
    this.#places.delete(connection);
    // Two: it is over its limit and is being ended.
    for (const { content } of this.#framesFrom(place)) if (connection.send(content, false) === 2) break;
    if (this.#places.size === 0) this.#forgetWritten();
  }

  catchUpAll(): void {
    for (const connection of this.#places.keys()) this.catchUp(connection);
  }

  /** Bytes that wait here for a connection. */
  waitingFor(connection: Socket): number {
    const place = this.#places.get(connection);
    if (place === undefined) return 0;
    return this.#end - (this.#frames[place - this.#first]?.offset ?? this.#end);
  }

  /** It has closed: it must not be written to any more. */
  forget(connection: Socket): void {
    if (this.#places.delete(connection) && this.#places.size === 0) this.#forgetWritten();
  }

  #share(frames: readonly string[]): void {
    const place = this.#next;
    for (const frame of frames) {
      const content = Buffer.from(frame);
      this.#frames.push({ content, offset: this.#end });
      this.#end += content.length;
    }
    const added = this.#framesFrom(place);
    for (const connection of this.#parts.connections.all()) {
      if (this.#places.has(connection)) {
        if (this.waitingFor(connection) > this.#parts.maxBytes) this.catchUp(connection);
      } else if (connection.getUserData().door === "fanwire.v1" && connection.isSubscribed(this.#tree)) {
        this.#send(connection, added, place);
      }
    }
    this.#forgetWritten();
  }

  /** The number of the frame that will be published next. */
  get #next(): number {
    return this.#first + this.#frames.length;
  }

  /** Until its socket is full. `place`: of the first of the frames. */
  #send(connection: Socket, frames: readonly Frame[], place: number): void {
    for (const [at, { content }] of frames.entries()) {
      const outcome = connection.send(content, false);
      if (outcome === 0) this.#places.set(connection, place + at + 1);
      if (outcome !== 1) return;
    }
  }

  #framesFrom(place: number): readonly Frame[] {
    return this.#frames.slice(place - this.#first);
  }

  #forgetWritten(): void {
    let oldest = this.#next;
    for (const place of this.#places.values()) oldest = Math.min(oldest, place);
    this.#frames.splice(0, oldest - this.#first);
    this.#first = oldest;
  }
}
