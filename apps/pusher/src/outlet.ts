import { isUtf8 } from "node:buffer";
import type { Connection } from "./connection.ts";
import type { OwnWrites } from "./own-writes.ts";

/** Who hears by one door what came in: all in a tree, or the one connection that follows it. */
export type Receivers = { readonly tree: string; readonly members: number } | { readonly only: Connection };

/** Gathers what comes for trees, to write it when the turn ends. */
type Gatherer<Content> = { publish(tree: string, content: Content): void; flush(): void };

/**
 * What goes out by one door, each connection hearing it in the order in which it came. What comes in one turn of the loop is
 * gathered, and written when the turn ends.
 */
export class Outlet<Content extends string | Uint8Array> {
  readonly #trees: Gatherer<Content>;
  readonly #own: OwnWrites<Content>;

  constructor(trees: Gatherer<Content>, own: OwnWrites<Content>) {
    this.#trees = trees;
    this.#own = own;
  }

  /** To all receivers but one, perhaps. How many connections it was handed to. */
  hand(content: Content, receivers: Receivers, excepted: Connection | undefined): number {
    if ("only" in receivers) {
      if (receivers.only === excepted) return 0;
      this.#trees.flush();
      this.#own.push(receivers.only, content);
      return 1;
    }
    const { tree, members } = receivers;
    this.#own.flush();
    if (!excepted?.isSubscribed(tree)) {
      this.#trees.publish(tree, content);
      return members;
    }
    this.#trees.flush();
    excepted.publish(tree, content, typeof content !== "string" && !isUtf8(content));
    return members - 1;
  }

  /** Writes what is pending. To be called before anything else is written, and before anybody joins or leaves a tree. */
  flush(): void {
    this.#trees.flush();
    this.#own.flush();
  }

  /** It has closed: it must not be written to any more. */
  forget(connection: Connection): void {
    this.#own.forget(connection);
  }
}
