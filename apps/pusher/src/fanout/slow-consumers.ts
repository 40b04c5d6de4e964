import type { Connection } from "../connections/connection.ts";
import { type Corkful, writeCorkful } from "./corked-write.ts";

/** Looking at many connections to write to some of them pays where at least one in so many is one of those. */
const WALK_FOR_ONE_IN = 4;

type Socket = Pick<Connection, "send" | "cork" | "getBufferedAmount">;

/** Who is in a protocol's groups. */
type TreeMembers = {
  count(group: string): number;
  members(group: string): Iterable<Socket>;
  /** How many connections are looked at to find them. */
  walked(group: string): number;
};

type Written = {
  readonly corkful: Corkful;
  /** Content bytes of all before it. */
  readonly offset: number;
};

type Parts = {
  readonly groups: TreeMembers;
  /** So many bytes may wait for one connection. For who needs more they go to uWebSockets.js, which ends it over its limit. */
  readonly maxBytes: number;
};

/**
 * Writes bursts socket by socket: all of a burst to one connection, then to the next. A connection whose socket is full lags: it keeps
 * its place in a list that all share, where uWebSockets.js would keep a copy for each, and goes on when its socket has drained.
 */
export class SlowConsumerBuffer {
  readonly #parts: Parts;
  /** Whose subscribers lag. */
  #group = "";
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
  get slowConsumers(): number {
    return this.#places.size;
  }

  /** Bytes kept for those who lag, all together. */
  get bytes(): number {
    return this.#end - (this.#written[0]?.offset ?? this.#end);
  }

  /**
   * Whether what is now published in a group is to be written here: a burst for many, or anything behind which many lag. If not, nobody
   * lags any more, and it can be written otherwise.
   */
  takes(group: string, isBurst: boolean): boolean {
    if (group !== this.#group) this.catchUpAll();
    const { groups } = this.#parts;
    const concerned = isBurst ? groups.count(group) : this.#places.size;
    if (concerned > 0 && concerned * WALK_FOR_ONE_IN >= groups.walked(group)) return true;
    this.catchUpAll();
    return false;
  }

  /** To all in the group; {@link takes} has said that it is to be written here. */
  write(group: string, corkfuls: readonly Corkful[]): void {
    this.#group = group;
    const { groups, maxBytes } = this.#parts;
    for (const connection of groups.members(group)) {
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
