import type { Connection } from "../connections/connection.ts";
import type { Hub } from "../hub/hub.ts";
import type { Welcome } from "../wire/encoding.ts";
import type { HandshakeQuery } from "../wire/handshake-query.ts";
import type { Recovered, Recovery } from "./recovery.ts";

/** Brings a new connection to where it hears what it asked for: at once, or after what it missed. */
export class Greeter {
  readonly #hub: Hub;
  readonly #recovery: Recovery;

  constructor(hub: Hub, recovery: Recovery) {
    this.#hub = hub;
    this.#recovery = recovery;
  }

  /** Calls `announce` once, before anything else is sent. The topics must be allowed. */
  open(connection: Connection, { topics, since }: HandshakeQuery, announce: (outcome: Recovered) => void): void {
    const hub = this.#hub;
    const subscriptions = hub.open(connection);
    for (const topic of topics) {
      const followed = hub.subscribe(connection, topic);
      if (typeof followed === "object") subscriptions.push(followed);
    }

    this.#recovery.enter({
      connection,
      subscriptions,
      since,
      kind: "connection",
      announce,
    });
  }

  /** Returns the first message of protocols that have one. */
  welcomeOf(connection: Connection, outcome: Recovered): Welcome {
    return { connection: this.#hub.addressOf(connection), ...outcome };
  }
}
