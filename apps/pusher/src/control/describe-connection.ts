import type { ConnectionDescription } from "@fanwire/protocol";
import { remoteAddressOf } from "../connections/client-address.ts";
import type { Connection } from "../connections/connection.ts";
import { membersOf } from "../connections/small-set.ts";
import type { Hub } from "../hub/hub.ts";

/** Returns what the API shows of a connection. */
export function describeConnection(
  connection: Connection,
  hub: Pick<Hub, "addressOf" | "unsentBytesOf">,
): ConnectionDescription {
  const { protocol, openedAt, grant, topics } = connection.getUserData();
  return {
    address: hub.addressOf(connection),
    protocol: protocol.name,
    ...(grant.user !== undefined && { user: grant.user }),
    topics: [...membersOf(topics)],
    remoteAddress: remoteAddressOf(connection),
    openedAt: new Date(openedAt * 1_000).toISOString(),
    unsentBytes: hub.unsentBytesOf(connection),
  };
}

/** Omits the topics for which there is no room. */
export function describeWithin(maxBytes: number, description: ConnectionDescription): ConnectionDescription {
  let room = maxBytes - bytesOf({ ...description, topics: [], omittedTopics: description.topics.length });
  const topics: string[] = [];
  for (const topic of description.topics) {
    room -= bytesOf(topic) + 1;
    if (room < 0) break;
    topics.push(topic);
  }
  if (topics.length === description.topics.length) return description;
  return { ...description, topics, omittedTopics: description.topics.length - topics.length };
}

/** Returns the bytes of a value as JSON. */
export function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
