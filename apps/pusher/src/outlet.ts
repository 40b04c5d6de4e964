import { isUtf8 } from "node:buffer";
import type { Connection } from "./connection.ts";
import type { OwnWrites } from "./own-writes.ts";
import type { SharedBursts } from "./shared-bursts.ts";
import type { Trees } from "./trees.ts";

/** Who hears by one door what came in: all in a tree, or the one connection that follows it. */
export type Receivers = { readonly tree: string; readonly members: number } | { readonly only: Connection };

/** Gathers what comes for trees, to write it when the turn ends. */
type Gatherer<Content> = { publish(tree: string, content: Content): void; flush(): void };

/** Knows who has not been sent all that was written, and sends it. */
type Laggards = Pick<SharedBursts, "catchUp" | "catchUpAll" | "forget">;

type Parts<Content extends string | Uint8Array> = {
  readonly trees: Pick<Trees, "has" | "publish">;
  readonly gathered: Gatherer<Content>;
  readonly own: OwnWrites<Content>;
  readonly laggards?: Laggards;
};

/**
 * What goes out by one door, each connection hearing it in the order in which it came. What comes in one turn of the loop is
 * gathered, and written when the turn ends.
 */
export class Outlet<Content extends string | Uint8Array> {
  readonly #trees: Pick<Trees, "has" | "publish">;
  readonly #gathered: Gatherer<Content>;
  readonly #own: OwnWrites<Content>;
  readonly #laggards: Laggards | undefined;

  constructor({ trees, gathered, own, laggards }: Parts<Content>) {
    this.#trees = trees;
    this.#gathered = gathered;
    this.#own = own;
    this.#laggards = laggards;
  }

  /** To all receivers but one, perhaps. How many connections it was handed to. */
  hand(content: Content, receivers: Receivers, excepted: Connection | undefined): number {
    if ("only" in receivers) {
      if (receivers.only === excepted) return 0;
      this.#gathered.flush();
      this.#laggards?.catchUp(receivers.only);
      this.#own.push(receivers.only, content);
      return 1;
    }
    const { tree, members } = receivers;
    this.#own.flush();
    if (!excepted || !this.#trees.has(tree, excepted)) {
      this.#gathered.publish(tree, content);
      return members;
    }
    this.#gathered.flush();
    this.#laggards?.catchUpAll();
    this.#trees.publish(tree, content, typeof content !== "string" && !isUtf8(content), excepted);
    return members - 1;
  }

  /** Writes what is pending. */
  flush(): void {
    this.#gathered.flush();
    this.#own.flush();
  }

  /** The same, and nothing waits for this connection any more: before it is written to otherwise, and before it joins or leaves a tree. */
  flushTo(connection: Connection): void {
    this.flush();
    this.#laggards?.catchUp(connection);
  }

  /** It has closed: it must not be written to any more. */
  forget(connection: Connection): void {
    this.#own.forget(connection);
    this.#laggards?.forget(connection);
  }
}
