import { isUtf8 } from "node:buffer";
import type { Connection } from "./connection.ts";
import type { Connections } from "./core/connections.ts";
import type { Trees } from "./trees.ts";
import { TurnEnd } from "./turn-end.ts";

/** So many frames a tree writes at a time to each socket. */
const TREE_WRITES = 32;
/** So many more in the same turn go socket by socket, and share writes of 16 KiB, */
const BURST = 64;
/** of which larger frames, on average, fill as much 32 at a time. */
const MAX_FRAME_BYTES = 512;
/** Walking over all connections pays where at least one in so many follows. */
const WALK_FOR_ONE_IN = 4;
const MAX_BYTES = 1_048_576;

type RawConnection = Pick<Connection, "getUserData" | "isSubscribed" | "send" | "cork">;

/**
 * Hands what comes by the raw door, where a message is a frame and nothing can be joined, to its tree. When one turn of the
 * loop brings more for the same tree than that writes at once, the rest is gathered. A burst is the exception to the rule that no
 * JavaScript runs for each connection: writing it socket by socket takes a fraction of the system calls.
 */
export class RawBursts {
  readonly #trees: Trees;
  readonly #connections: Pick<Connections<RawConnection>, "all" | "size">;
  readonly #turnEnd = new TurnEnd(() => {
    this.flush();
    this.#tree = "";
  });
  /** The last one of this turn, and how much of what came for it went there at once. */
  #tree = "";
  #handed = 0;
  #bytes = 0;
  #gathered: Uint8Array[] = [];

  constructor(trees: Trees, connections: Pick<Connections<RawConnection>, "all" | "size">) {
    this.#trees = trees;
    this.#connections = connections;
  }

  publish(tree: string, content: Uint8Array): void {
    if (this.#tree !== tree || this.#bytes >= MAX_BYTES) this.flush();
    if (this.#tree !== tree) {
      this.#tree = tree;
      this.#handed = 0;
      this.#turnEnd.ask();
    }
    if (this.#handed < TREE_WRITES) {
      this.#handed++;
      this.#trees.publish(tree, content, !isUtf8(content));
      return;
    }
    this.#gathered.push(content);
    this.#bytes += content.length;
  }

  /** Writes what is pending. To be called before anything else is written, and before anybody joins or leaves a tree. */
  flush(): void {
    const [gathered, bytes] = [this.#gathered, this.#bytes];
    if (gathered.length === 0) return;
    this.#gathered = [];
    this.#bytes = 0;
    const isBurst = gathered.length >= BURST && bytes < gathered.length * MAX_FRAME_BYTES;
    if (isBurst && this.#isCrowd()) this.#writeToEach(gathered);
    else for (const content of gathered) this.#trees.publish(this.#tree, content, !isUtf8(content));
  }

  #isCrowd(): boolean {
    return this.#trees.count(this.#tree) * WALK_FOR_ONE_IN >= this.#connections.size;
  }

  #writeToEach(gathered: readonly Uint8Array[]): void {
    const frames = gathered.map((content) => ({ content, isBinary: !isUtf8(content) }));
    for (const connection of this.#connections.all()) {
      if (connection.getUserData().door !== "raw" || !connection.isSubscribed(this.#tree)) continue;
      connection.cork(() => {
        // One that is over its limit is being ended.
        for (const { content, isBinary } of frames) if (connection.send(content, isBinary) === 2) return;
      });
    }
  }
}
