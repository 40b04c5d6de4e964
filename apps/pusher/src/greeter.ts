import type { Connection } from "./connection.ts";
import type { Welcome } from "./core/encoding.ts";
import type { HandshakeQuery } from "./core/handshake.ts";
import type { Edge } from "./edge.ts";
import type { Entrance, Recovered } from "./entrance.ts";

/** Brings a new connection to where it hears what it asked for: at once, or after what it missed. */
export class Greeter {
  readonly #edge: Edge;
  readonly #entrance: Entrance;

  constructor(edge: Edge, entrance: Entrance) {
    this.#edge = edge;
    this.#entrance = entrance;
  }

  /** Calls `announce` once, before anything else is sent. The topics must be allowed. */
  open(connection: Connection, { topics, since }: HandshakeQuery, announce: (outcome: Recovered) => void): void {
    const edge = this.#edge;
    const listenings = edge.open(connection);
    for (const topic of topics) {
      const followed = edge.follow(connection, topic);
      if (typeof followed === "object") listenings.push(followed);
    }

    this.#entrance.enter({
      connection,
      listenings,
      since,
      kind: "connection",
      announce,
    });
  }

  /** Returns the first message of protocols that have one. */
  welcomeOf(connection: Connection, outcome: Recovered): Welcome {
    return { connection: this.#edge.addressOf(connection), ...outcome };
  }
}
