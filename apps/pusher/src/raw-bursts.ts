import { isUtf8 } from "node:buffer";
import type { Connection } from "./connection.ts";
import type { Connections } from "./core/connections.ts";
import { toCorkfuls, writeCorkfuls } from "./corkfuls.ts";
import { type Trees, WALK_FOR_ONE_IN } from "./trees.ts";
import { TurnEnd } from "./turn-end.ts";

/** A tree writes 32 frames at a time to each socket. So many in one turn go socket by socket, and share writes of 16 KiB, */
const BURST = 64;
/** of which larger frames, on average, fill as much 32 at a time. */
const MAX_FRAME_BYTES = 512;
const MAX_BYTES = 1_048_576;

type RawConnection = Pick<Connection, "getUserData" | "isSubscribed" | "send" | "cork">;

/**
 * Gathers what one turn of the loop brings for the same tree of the raw door, where a message is a frame and nothing can be
 * joined. Mostly that is little, and the tree writes it. A burst is the exception to the rule that no JavaScript runs for each
 * connection: writing it socket by socket takes a fraction of the system calls.
 */
export class RawBursts {
  readonly #trees: Trees;
  readonly #connections: Pick<Connections<RawConnection>, "all" | "size">;
  readonly #turnEnd = new TurnEnd(() => {
    this.flush();
    this.#isTreePending = false;
  });
  /** A tree was published to in this turn, and what it does not write before the end of the turn may still wait in it. */
  #isTreePending = false;
  #tree = "";
  #bytes = 0;
  #gathered: Uint8Array[] = [];

  constructor(trees: Trees, connections: Pick<Connections<RawConnection>, "all" | "size">) {
    this.#trees = trees;
    this.#connections = connections;
  }

  publish(tree: string, content: Uint8Array): void {
    if (this.#gathered.length > 0 && (this.#tree !== tree || this.#bytes >= MAX_BYTES)) this.flush();
    if (this.#gathered.length === 0) {
      this.#tree = tree;
      this.#bytes = 0;
      this.#turnEnd.ask();
    }
    this.#gathered.push(content);
    this.#bytes += content.length;
  }

  /** Writes what is pending. To be called before anything else is written, and before anybody joins or leaves a tree. */
  flush(): void {
    const gathered = this.#gathered;
    if (gathered.length === 0) return;
    this.#gathered = [];
    const isBurst = gathered.length >= BURST && this.#bytes < gathered.length * MAX_FRAME_BYTES;
    if (isBurst && this.#isCrowd()) this.#writeToEach(gathered);
    else this.#leaveToTree(gathered);
  }

  #leaveToTree(gathered: readonly Uint8Array[]): void {
    this.#isTreePending = true;
    for (const content of gathered) this.#trees.publish(this.#tree, content, !isUtf8(content));
  }

  #isCrowd(): boolean {
    return this.#trees.count(this.#tree) * WALK_FOR_ONE_IN >= this.#connections.size;
  }

  #writeToEach(gathered: readonly Uint8Array[]): void {
    // Before it sends anything else uWebSockets.js writes what waits in trees, and ends the cork with it: so the first goes alone.
    const [first, ...others] = gathered;
    const alone = this.#isTreePending ? first : undefined;
    const corkfuls = toCorkfuls(alone ? others : gathered);
    for (const connection of this.#connections.all()) {
      if (connection.getUserData().door !== "raw" || !connection.isSubscribed(this.#tree)) continue;
      // One that is over its limit is being ended.
      if (alone && connection.send(alone, !isUtf8(alone)) === 2) continue;
      writeCorkfuls(connection, corkfuls);
    }
  }
}
