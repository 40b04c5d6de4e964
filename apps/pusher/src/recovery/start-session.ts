import type { Connection } from "../connections/connection.ts";
import type { Hub } from "../hub/hub.ts";
import type { Welcome } from "../wire/fanwire-messages.ts";
import type { HandshakeQuery } from "../wire/handshake-query.ts";
import type { Recovery } from "./recovery.ts";
import type { RecoveryOutcome } from "./recovery-outcome.ts";

/**
 * Registers a connection whose handshake was accepted, subscribes it to the topics of its query, and recovers what it
 * missed. Calls `onOutcome` once, before any publication is sent. The topics must be allowed.
 */
export function startSession(
  { hub, recovery }: { readonly hub: Hub; readonly recovery: Recovery },
  connection: Connection,
  { topics, since }: HandshakeQuery,
  onOutcome: (outcome: RecoveryOutcome) => void,
): void {
  const subscriptions = hub.open(connection);
  for (const topic of topics) {
    const subscription = hub.subscribe(connection, topic);
    if (typeof subscription === "object") subscriptions.push(subscription);
  }
  recovery.start({ connection, subscriptions, since, kind: "connection", onOutcome });
}

/** Returns the first message of protocols that have one. */
export function welcomeOf(hub: Hub, connection: Connection, outcome: RecoveryOutcome): Welcome {
  return { connection: hub.addressOf(connection), ...outcome };
}
