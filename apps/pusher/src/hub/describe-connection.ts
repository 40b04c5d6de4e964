import type { ConnectionDescription } from "@fanwire/protocol";
import { remoteAddressOf } from "../connections/client-address.ts";
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
