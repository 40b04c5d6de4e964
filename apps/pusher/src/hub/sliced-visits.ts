import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import { SlicedWork } from "../pacing/sliced-work.ts";

/** Visits connections in slices of several ticks, because an event may concern thousands of them. */
export class SlicedVisits {
  readonly #connections: Connections<Connection>;
  readonly #work = new SlicedWork();

  constructor(connections: Connections<Connection>) {
    this.#connections = connections;
  }

  /** Calls `visit` for each connection that is still open then. Resolves with their number. */
  each(connectionIds: Iterable<number>, visit: (connection: Connection) => void): Promise<number> {
    return new Promise((resolve) => this.#work.add(this.#eachOf(connectionIds, visit, resolve)));
  }

  *#eachOf(
    connectionIds: Iterable<number>,
    visit: (connection: Connection) => void,
    done: (count: number) => void,
  ): Generator {
    let count = 0;
    for (const connectionId of connectionIds) {
      const connection = this.#connections.get(connectionId);
      if (connection === undefined) continue;
      visit(connection);
      count++;
      yield;
    }
    done(count);
  }
}
