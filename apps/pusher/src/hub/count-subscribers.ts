import { matchesTopic } from "@fanwire/protocol";
import type { Connection } from "../connections/connection.ts";
import { membersOf } from "../connections/small-set.ts";

/** Counts each connection once, also when several of its subscriptions match the topic. */
export function countSubscribers(connections: Iterable<Connection>, topic: string): number {
  let count = 0;
  for (const connection of connections) {
    for (const pattern of membersOf(connection.getUserData().topics)) {
      if (!matchesTopic(pattern, topic)) continue;
      count++;
      break;
    }
  }
  return count;
}
