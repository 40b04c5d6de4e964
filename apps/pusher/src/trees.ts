import type { TemplatedApp } from "uWebSockets.js";
import type { Connection, Door } from "./connection.ts";
import type { FrameWriter } from "./joined-frames.ts";

/** Writes one frame to all connections of a door that follow the same thing. */
export interface Trees {
  publish(tree: string, frame: string | Uint8Array, isBinary: boolean): void;
  /** Connections in the tree. */
  count(tree: string): number;
}

const letters: Record<Door, string> = { raw: "r", "fanwire.v1": "f", sse: "s" };

/**
 * The name under which those who follow the same thing by one door are together. Short, since uWebSockets.js keeps it and reads
 * it with each publication.
 */
export function treeName(door: Door, treeId: number): string {
  return letters[door] + treeId;
}

/** WebSockets: uWebSockets.js shares one frame between them and writes once for each socket and turn of the loop. */
export function webSocketTrees(app: TemplatedApp): Trees {
  return {
    publish: (tree, frame, isBinary) => void app.publish(tree, frame, isBinary),
    count: (tree) => app.numSubscribers(tree),
  };
}

/** HTTP responses: uWebSockets.js has no tree for them, so they are written to one by one. */
export class ResponseTrees implements FrameWriter {
  readonly #trees = new Map<string, Set<Connection>>();

  add(tree: string, connection: Connection): void {
    const members = this.#trees.get(tree);
    if (members) members.add(connection);
    else this.#trees.set(tree, new Set([connection]));
  }

  remove(tree: string, connection: Connection): boolean {
    const members = this.#trees.get(tree);
    if (!members?.delete(connection)) return false;
    if (members.size === 0) this.#trees.delete(tree);
    return true;
  }

  has(tree: string, connection: Connection): boolean {
    return this.#trees.get(tree)?.has(connection) ?? false;
  }

  write(tree: string, frames: readonly Uint8Array[]): void {
    // Writing may end a slow one, which takes it out of the set under our hands: a Set allows that.
    for (const connection of this.#trees.get(tree) ?? []) {
      for (const frame of frames) if (connection.send(frame) === 2) break;
    }
  }

  publishToOthers(tree: string, frame: string | Uint8Array, except: Connection): void {
    const bytes = typeof frame === "string" ? Buffer.from(frame) : frame;
    for (const connection of this.#trees.get(tree) ?? []) {
      if (connection !== except) connection.send(bytes);
    }
  }

  count(tree: string): number {
    return this.#trees.get(tree)?.size ?? 0;
  }
}
