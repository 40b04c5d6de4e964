import type { TemplatedApp, WebSocket } from "uWebSockets.js";
import type { Connection, ConnectionState, Door } from "./connection.ts";
import type { Connections } from "./core/connections.ts";
import type { FrameWriter } from "./joined-frames.ts";

/** Those who follow the same thing by one door, together: each is in the tree of everything it follows. */
export interface Trees {
  add(tree: string, connection: Connection): void;
  remove(tree: string, connection: Connection): void;
  /** Removes one that has closed, and must not be touched any more. */
  forget(tree: string, connection: Connection): void;
  has(tree: string, connection: Connection): boolean;
  /** Connections in the tree. */
  count(tree: string): number;
  /** Writes one frame to all in the tree, or to all but one of them. */
  publish(tree: string, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void;
}

export type DoorTrees = {
  readonly raw: SocketTrees;
  readonly "fanwire.v1": MemberTrees;
  readonly sse: MemberTrees;
};

const letters: Record<Door, string> = { raw: "r", "fanwire.v1": "f", sse: "s" };

/** The name of a tree. Short, since uWebSockets.js keeps it and reads it with each publication. */
export function treeName(door: Door, treeId: number): string {
  return letters[door] + treeId;
}

/** Of event streams that receive copies of a publication: each needs an id of its own. */
export function copiesTreeName(treeId: number): string {
  return `c${treeId}`;
}

export function openTrees(app: TemplatedApp): DoorTrees {
  return { raw: new SocketTrees(app), "fanwire.v1": new MemberTrees(), sse: new MemberTrees() };
}

/** What uWebSockets.js has beyond what all connections have. */
type Socket = Pick<WebSocket<ConnectionState>, "subscribe" | "unsubscribe" | "isSubscribed" | "publish">;

/**
 * The raw door's: the topic tree of uWebSockets.js, which shares one frame between all sockets, and writes what several messages bring
 * at once. The connections of this door are its WebSockets as they are.
 */
export class SocketTrees implements Trees {
  readonly #app: TemplatedApp;

  constructor(app: TemplatedApp) {
    this.#app = app;
  }

  add(tree: string, connection: Connection): void {
    (connection as Connection & Socket).subscribe(tree);
  }

  remove(tree: string, connection: Connection): void {
    (connection as Connection & Socket).unsubscribe(tree);
  }

  /** uWebSockets.js has done it. */
  forget(): void {}

  has(tree: string, connection: Connection): boolean {
    return connection.getUserData().door === "raw" && (connection as Connection & Socket).isSubscribed(tree);
  }

  count(tree: string): number {
    return this.#app.numSubscribers(tree);
  }

  publish(tree: string, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void {
    if (except) (except as Connection & Socket).publish(tree, frame, isBinary);
    else this.#app.publish(tree, frame, isBinary);
  }
}

/**
 * Sets of connections, for doors where what is to be joined is joined in frames, and each frame is a write anyway. A WebSocket that
 * has never been in a tree of uWebSockets.js is written to without a copy, if it is enough.
 */
export class MemberTrees implements Trees, FrameWriter {
  readonly #trees = new Map<string, Set<Connection>>();

  add(tree: string, connection: Connection): void {
    const members = this.#trees.get(tree);
    if (members) members.add(connection);
    else this.#trees.set(tree, new Set([connection]));
  }

  remove(tree: string, connection: Connection): void {
    const members = this.#trees.get(tree);
    if (members?.delete(connection) && members.size === 0) this.#trees.delete(tree);
  }

  forget(tree: string, connection: Connection): void {
    this.remove(tree, connection);
  }

  has(tree: string, connection: Connection): boolean {
    return this.#trees.get(tree)?.has(connection) ?? false;
  }

  count(tree: string): number {
    return this.#trees.get(tree)?.size ?? 0;
  }

  members(tree: string): Iterable<Connection> {
    return this.#trees.get(tree) ?? [];
  }

  /** Connections that are looked at to find its members. */
  walked(tree: string): number {
    return this.count(tree);
  }

  publish(tree: string, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void {
    // Once for all of them: each would encode it anew.
    const bytes = typeof frame === "string" ? Buffer.from(frame) : frame;
    // Writing may end a slow one, which takes it out of the set under our hands: a Set allows that.
    for (const connection of this.members(tree)) if (connection !== except) connection.send(bytes, isBinary);
  }

  write(tree: string, frames: readonly Uint8Array[]): void {
    for (const connection of this.members(tree)) {
      for (const frame of frames) if (connection.send(frame, false) === 2) break;
    }
  }
}

/** The members of the raw door's trees, which uWebSockets.js does not tell: all connections are asked. */
export class SocketTreeMembers {
  readonly #trees: Pick<Trees, "count" | "has">;
  readonly #connections: Pick<Connections<Connection>, "all" | "size">;

  constructor(trees: Pick<Trees, "count" | "has">, connections: Pick<Connections<Connection>, "all" | "size">) {
    this.#trees = trees;
    this.#connections = connections;
  }

  count(tree: string): number {
    return this.#trees.count(tree);
  }

  *members(tree: string): Iterable<Connection> {
    for (const connection of this.#connections.all()) {
      if (this.#trees.has(tree, connection)) yield connection;
    }
  }

  walked(): number {
    return this.#connections.size;
  }
}
