import type { ConnectionDescription } from "@fanwire/protocol";
import type { Connection } from "../connections/connection.ts";
import { membersOf } from "../connections/small-set.ts";

/** Returns what the API shows of a connection. `waitingBytes` wait in this process, beside those that its socket holds. */
export function describeConnection(
  connection: Connection,
  address: string,
  waitingBytes: number,
): ConnectionDescription {
  const { protocol, openedAt, grant, topics } = connection.getUserData();
  return {
    address,
    protocol: protocol.name,
    ...(grant.user !== undefined && { user: grant.user }),
    topics: [...membersOf(topics)],
    remoteAddress: remoteAddressOf(connection),
    openedAt: new Date(openedAt * 1_000).toISOString(),
    unsentBytes: connection.getBufferedAmount() + waitingBytes,
  };
}

export function remoteAddressOf(connection: Connection): string {
  return Buffer.from(connection.getRemoteAddressAsText()).toString("latin1");
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
