import type { Connection } from "../connections/connection.ts";
import { type WriteBatch, writeCorked } from "./corked-write.ts";

/** Examining all connections is worth it if at least one in this many is written to. */
const WALK_FOR_ONE_IN = 4;

type Socket = Pick<Connection, "send" | "cork" | "getBufferedAmount">;

/** The groups of one encoding. */
type Groups = {
  count(groupId: number): number;
  members(groupId: number): Iterable<Socket>;
  /** Returns how many connections `members` examines. */
  walked(groupId: number): number;
};

type Written = {
  readonly batch: WriteBatch;
  /** Content bytes of all batches before it. */
  readonly offset: number;
};

type Parts = {
  readonly groups: Groups;
  /**
   * Maximum bytes that are pending for one connection. Above it they go to uWebSockets.js, which closes connections
   * over its limit.
   */
  readonly maxBytes: number;
};

/**
 * Writes bursts socket by socket: all of a burst to one connection, then to the next. A connection whose socket is full
 * is a slow consumer. It keeps its place in a list that all share, where uWebSockets.js would keep a copy for each, and
 * continues when its socket has drained.
 */
export class SlowConsumerBuffer {
  readonly #parts: Parts;
  /** The group that the slow consumers are in. */
  #groupId = 0;
  /** Written batches, beginning with the oldest that a slow consumer lacks. */
  #written: Written[] = [];
  /** The number of the first of these batches. */
  #first = 0;
  /** Content bytes of all batches ever written. */
  #end = 0;
  /** The number of the next batch for each slow consumer. */
  readonly #places = new Map<Socket, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get slowConsumers(): number {
    return this.#places.size;
  }

  /** Bytes that are buffered for all slow consumers together. */
  get bytes(): number {
    return this.#end - (this.#written[0]?.offset ?? this.#end);
  }

  /**
   * Prepares for the next frames of a group. Returns true if {@link write} must write them: a burst for many, or
   * anything that many slow consumers are waiting for. Otherwise it sends all slow consumers everything, so that frames
   * can be written in another way.
   */
  prepareWrite(groupId: number, isBurst: boolean): boolean {
    if (groupId !== this.#groupId) this.catchUpAll();
    const { groups } = this.#parts;
    const concerned = isBurst ? groups.count(groupId) : this.#places.size;
    if (concerned > 0 && concerned * WALK_FOR_ONE_IN >= groups.walked(groupId)) return true;
    this.catchUpAll();
    return false;
  }

  /** Writes to all members of the group. {@link prepareWrite} must have returned true. */
  write(groupId: number, batches: readonly WriteBatch[]): void {
    this.#groupId = groupId;
    const { groups, maxBytes } = this.#parts;
    for (const connection of groups.members(groupId)) {
      if (!this.#places.has(connection)) this.#writeNew(connection, batches);
    }
    // Must come after the loop, because the buffer is cleared when the last slow consumer catches up.
    for (const batch of batches) {
      this.#written.push({ batch, offset: this.#end });
      for (const { content } of batch) this.#end += content.length;
    }
    for (const connection of this.#places.keys()) {
      if (this.waitingFor(connection) > maxBytes) this.catchUp(connection);
    }
    this.#dropWritten();
  }

  /** Must be called when uWebSockets.js has written what it buffered for a connection. */
  drained(connection: Socket): void {
    if (this.#places.has(connection) && connection.getBufferedAmount() === 0) this.#continue(connection, false);
  }

  /** Sends a slow consumer everything, so that it can be written to in another way. */
  catchUp(connection: Socket): void {
    if (this.#places.has(connection)) this.#continue(connection, true);
  }

  catchUpAll(): void {
    if (this.#places.size === 0) return;
    for (const connection of this.#places.keys()) this.catchUp(connection);
  }

  /** Returns the bytes that are pending here for a connection. */
  waitingFor(connection: Socket): number {
    const place = this.#places.get(connection);
    if (place === undefined) return 0;
    return this.#end - (this.#written[place - this.#first]?.offset ?? this.#end);
  }

  /** Drops what is pending for a connection that has closed. */
  forget(connection: Socket): void {
    if (this.#places.delete(connection) && this.#places.size === 0) this.#dropWritten();
  }

  /** Sends new batches until the socket is full. Then the connection is a slow consumer. */
  #writeNew(connection: Socket, batches: readonly WriteBatch[]): void {
    for (let at = 0; at < batches.length; at++) {
      const outcome = writeCorked(connection, batches[at] as WriteBatch);
      if (outcome === 0) this.#places.set(connection, this.#next + at + 1);
      if (outcome !== 1) return;
    }
  }

  /**
   * Sends a slow consumer its next batches until it is up to date or, unless `ignoresBackpressure`, its socket is full.
   */
  #continue(connection: Socket, ignoresBackpressure: boolean): void {
    for (let place = this.#places.get(connection) ?? this.#next; place < this.#next; ) {
      const { batch } = this.#written[place - this.#first] as Written;
      const outcome = writeCorked(connection, batch);
      // The connection is being closed.
      if (outcome === 2) break;
      place++;
      if (outcome === 0 && !ignoresBackpressure) {
        this.#places.set(connection, place);
        return;
      }
    }
    this.#places.delete(connection);
    if (this.#places.size === 0) this.#dropWritten();
  }

  /** The number of the batch that is written next. */
  get #next(): number {
    return this.#first + this.#written.length;
  }

  /** Drops batches that no slow consumer lacks. */
  #dropWritten(): void {
    let oldest = this.#next;
    for (const place of this.#places.values()) oldest = Math.min(oldest, place);
    this.#written.splice(0, oldest - this.#first);
    this.#first = oldest;
  }
}
