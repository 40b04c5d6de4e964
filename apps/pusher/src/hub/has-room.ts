import type { Connection } from "../connections/connection.ts";
import { countMembers, hasMember } from "../connections/small-set.ts";
import type { Presence } from "../presence/presence.ts";

/**
 * Returns whether a connection may subscribe to a topic or pattern with a limit of `maxTopics`. A topic counts as soon
 * as a join to it begins, so that nobody is shown as a member and then refused.
 */
export function hasRoomFor(connection: Connection, pattern: string, presence: Presence, maxTopics: number): boolean {
  const { topics } = connection.getUserData();
  if (hasMember(topics, pattern)) return true;
  let count = countMembers(topics);
  for (const topic of presence.topicsOf(connection)) if (topic !== pattern && !hasMember(topics, topic)) count++;
  return count < maxTopics;
}
