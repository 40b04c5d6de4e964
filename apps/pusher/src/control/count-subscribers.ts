import { matchesTopic } from "@fanwire/protocol";
import type { Connection } from "../connections/connection.ts";
import { membersOf } from "../connections/small-set.ts";

/**
 * Counts each connection once, also when several of its subscriptions match the topic. Yields after each connection.
 */
export function* countSubscribers(connections: Iterable<Connection>, topic: string): Generator<void, number> {
  let count = 0;
  for (const connection of connections) {
    if (isSubscribed(connection, topic)) count++;
    yield;
  }
  return count;
}

function isSubscribed(connection: Connection, topic: string): boolean {
  for (const pattern of membersOf(connection.getUserData().topics)) if (matchesTopic(pattern, topic)) return true;
  return false;
}
