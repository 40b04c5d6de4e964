import type { Connection } from "./connection.ts";
import { type Corkful, writeCorkful } from "./corkfuls.ts";

/** Looking at many connections to write to some of them pays where at least one in so many is one of those. */
const WALK_FOR_ONE_IN = 4;

type Socket = Pick<Connection, "send" | "cork" | "getBufferedAmount">;

/** Who is in a door's trees. */
type TreeMembers = {
  count(tree: string): number;
  members(tree: string): Iterable<Socket>;
  /** How many connections are looked at to find them. */
  walked(tree: string): number;
};

type Written = {
  readonly corkful: Corkful;
  /** Content bytes of all before it. */
  readonly offset: number;
};

type Parts = {
  readonly trees: TreeMembers;
  /** So many bytes may wait for one connection. For who needs more they go to uWebSockets.js, which ends it over its limit. */
  readonly maxBytes: number;
};

/**
 * Writes bursts socket by socket: all of a burst to one connection, then to the next. A connection whose socket is full lags: it keeps
 * its place in a list that all share, where uWebSockets.js would keep a copy for each, and goes on when its socket has drained.
 */
export class SharedBursts {
  readonly #parts: Parts;
  /** Whose followers lag. */
  #tree = "";
  /** What was written, from the oldest that somebody was not sent. */
  #written: Written[] = [];
  /** The number of the first of it. */
  #first = 0;
  /** Bytes of all there ever was. */
  #end = 0;
  /** Who lags, and the number of what comes next for each. */
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
    return this.#end - (this.#written[0]?.offset ?? this.#end);
  }

  /**
   * Whether what is now published in a tree is to be written here: a burst for many, or anything behind which many lag. If not, nobody
   * lags any more, and it can be written otherwise.
   */
  takes(tree: string, isBurst: boolean): boolean {
    if (tree !== this.#tree) this.catchUpAll();
    const { trees } = this.#parts;
    const concerned = isBurst ? trees.count(tree) : this.#places.size;
    if (concerned > 0 && concerned * WALK_FOR_ONE_IN >= trees.walked(tree)) return true;
    this.catchUpAll();
    return false;
  }

  /** To all in the tree; {@link takes} has said that it is to be written here. */
  write(tree: string, corkfuls: readonly Corkful[]): void {
    this.#tree = tree;
    const { trees, maxBytes } = this.#parts;
    for (const connection of trees.members(tree)) {
      if (!this.#places.has(connection)) this.#begin(connection, corkfuls);
    }
    // Not before: what nobody waits for is forgotten when the last who lagged has caught up.
    for (const corkful of corkfuls) {
      this.#written.push({ corkful, offset: this.#end });
      for (const { content } of corkful) this.#end += content.length;
    }
    for (const connection of this.#places.keys()) {
      if (this.waitingFor(connection) > maxBytes) this.catchUp(connection);
    }
    this.#forgetSent();
  }

  /** To be called when what uWebSockets.js kept for it was written. */
  drained(connection: Socket): void {
    if (this.#places.has(connection) && connection.getBufferedAmount() === 0) this.#goOn(connection, false);
  }

  /** What is sent to it next comes behind all that was published. */
  catchUp(connection: Socket): void {
    if (this.#places.has(connection)) this.#goOn(connection, true);
  }

  catchUpAll(): void {
    if (this.#places.size === 0) return;
    for (const connection of this.#places.keys()) this.catchUp(connection);
  }

  /** Bytes that wait here for a connection. */
  waitingFor(connection: Socket): number {
    const place = this.#places.get(connection);
    if (place === undefined) return 0;
    return this.#end - (this.#written[place - this.#first]?.offset ?? this.#end);
  }

  /** It has closed: it must not be written to any more. */
  forget(connection: Socket): void {
    if (this.#places.delete(connection) && this.#places.size === 0) this.#forgetSent();
  }

  /** Sends what will be kept for all from {@link #next} on, until the socket is full: then the connection lags. */
  #begin(connection: Socket, corkfuls: readonly Corkful[]): void {
    for (let at = 0; at < corkfuls.length; at++) {
      const outcome = writeCorkful(connection, corkfuls[at] as Corkful);
      if (outcome === 0) this.#places.set(connection, this.#next + at + 1);
      if (outcome !== 1) return;
    }
  }

  /** Sends who lags what comes next for it, until it has all; or until its socket is full, unless that is no matter. */
  #goOn(connection: Socket, evenIfFull: boolean): void {
    for (let place = this.#places.get(connection) ?? this.#next; place < this.#next; ) {
      const { corkful } = this.#written[place - this.#first] as Written;
      const outcome = writeCorkful(connection, corkful);
      // It is being ended.
      if (outcome === 2) break;
      place++;
      if (outcome === 0 && !evenIfFull) {
        this.#places.set(connection, place);
        return;
      }
    }
    this.#places.delete(connection);
    if (this.#places.size === 0) this.#forgetSent();
  }

  /** The number of what will be written next. */
  get #next(): number {
    return this.#first + this.#written.length;
  }

  #forgetSent(): void {
    let oldest = this.#next;
    for (const place of this.#places.values()) oldest = Math.min(oldest, place);
    this.#written.splice(0, oldest - this.#first);
    this.#first = oldest;
  }
}
