import type { Connection } from "../connections/connection.ts";
import { countMembers, hasMember } from "../connections/small-set.ts";
import type { Presence } from "../presence/presence.ts";

/**
 * Returns whether a connection may subscribe to a topic or pattern with a limit of `maxTopics`. Topics count from the beginning of a join
 * on, so that no member is shown who is then refused.
 */
export function hasRoomFor(connection: Connection, pattern: string, presence: Presence, maxTopics: number): boolean {
  const { topics } = connection.getUserData();
  if (hasMember(topics, pattern)) return true;
  let count = countMembers(topics);
  for (const joined of presence.topicsOf(connection)) if (joined !== pattern && !hasMember(topics, joined)) count++;
  return count < maxTopics;
}
