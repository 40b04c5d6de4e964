import { isUtf8 } from "node:buffer";
import type { Connection } from "../connections/connection.ts";
import type { DirectWrites } from "./direct-writes.ts";
import type { SlowConsumerBuffer } from "./slow-consumers.ts";
import type { SubscriberGroups } from "./subscriber-groups.ts";

/** Who hears by one protocol what came in: all in a group, or the one connection that follows it. */
export type Receivers = { readonly group: string; readonly members: number } | { readonly only: Connection };

/** Gathers what comes for groups, to write it when the turn ends. */
type Gatherer<Content> = { publish(group: string, content: Content): void; flush(): void };

/** Knows who has not been sent all that was written, and sends it. */
type Laggards = Pick<SlowConsumerBuffer, "catchUp" | "catchUpAll" | "forget">;

type Parts<Content extends string | Uint8Array> = {
  readonly groups: Pick<SubscriberGroups, "has" | "publish">;
  readonly gathered: Gatherer<Content>;
  readonly own: DirectWrites<Content>;
  readonly laggards?: Laggards;
};

/**
 * What goes out by one protocol, each connection hearing it in the order in which it came. What comes in one turn of the loop is
 * gathered, and written when the turn ends.
 */
export class ProtocolWriter<Content extends string | Uint8Array> {
  readonly #groups: Pick<SubscriberGroups, "has" | "publish">;
  readonly #gathered: Gatherer<Content>;
  readonly #own: DirectWrites<Content>;
  readonly #laggards: Laggards | undefined;

  constructor({ groups, gathered, own, laggards }: Parts<Content>) {
    this.#groups = groups;
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
    const { group, members } = receivers;
    this.#own.flush();
    if (!excepted || !this.#groups.has(group, excepted)) {
      this.#gathered.publish(group, content);
      return members;
    }
    this.#gathered.flush();
    this.#laggards?.catchUpAll();
    this.#groups.publish(group, content, typeof content !== "string" && !isUtf8(content), excepted);
    return members - 1;
  }

  /** Writes what is pending. */
  flush(): void {
    this.#gathered.flush();
    this.#own.flush();
  }

  /** The same, and nothing waits for this connection any more: before it is written to otherwise, and before it joins or leaves a group. */
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
