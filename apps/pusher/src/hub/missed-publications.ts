import { type CloseCode, closeCodes } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import type { Counters } from "../connections/counters.ts";
import { membersOf } from "../connections/small-set.ts";
import type { SharedSubscription } from "./shared-subscription.ts";

type MissedParts = {
  readonly connections: Connections<Connection>;
  readonly counters: Counters;
  readonly log: Log;
  /** Calls `act` over several ticks. Resolves after the last call. */
  forEach(connections: readonly Connection[], act: (connection: Connection) => void): Promise<unknown>;
  end(connection: Connection, closeCode: CloseCode): void;
};

/**
 * Closes the connections that missed publications which the history no longer stores, if they can resume. They learn of
 * the gap when they resume.
 */
export class MissedPublications {
  readonly #parts: MissedParts;

  constructor(parts: MissedParts) {
    this.#parts = parts;
  }

  /** Closes the subscribers over several ticks. Resolves when all are closed. */
  async end(subscriptions: readonly SharedSubscription[]): Promise<void> {
    const { connections, counters, log, forEach, end } = this.#parts;
    counters.historyMissed += subscriptions.length;
    const { length: count, 0: first } = subscriptions;
    log.warn({ count, first: first?.subject }, "missed publications are no longer stored");
    const isAffected = resumingSubscribersOf(subscriptions);
    await forEach([...connections.all()], (connection) => {
      if (isAffected(connection)) end(connection, closeCodes.publicationsMissed);
    });
  }
}

/** Returns a test for connections with one of the subscriptions that can resume. */
function resumingSubscribersOf(subscriptions: readonly SharedSubscription[]): (connection: Connection) => boolean {
  const patterns = new Set(subscriptions.flatMap(({ pattern }) => pattern ?? []));
  const ofUsers = new Set(subscriptions.flatMap(({ connectionIds }) => [...membersOf(connectionIds)]));
  const includesEveryone = subscriptions.some(({ kind }) => kind === "everyone");
  return (connection) => {
    const { protocol, topics, connectionId } = connection.getUserData();
    if (!protocol.canResume) return false;
    if (includesEveryone || ofUsers.has(connectionId)) return true;
    for (const topic of membersOf(topics)) if (patterns.has(topic)) return true;
    return false;
  };
}
