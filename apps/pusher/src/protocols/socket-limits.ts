import type { Connection } from "../connections/connection.ts";
import type { Counters, EndedBy } from "../connections/counters.ts";

/** The limits by which uWebSockets.js closes connections itself, by the message of its close handler. */
const endedByMessage: Readonly<Record<string, EndedBy>> = {
  "Received too big message": "inbound-bytes",
  "Received too big message, or other inflation error": "inbound-bytes",
  "WebSocket timed out from inactivity": "idle",
};

/** Must be called when uWebSockets.js drops a message, because the connection is over its limit of unsent bytes. */
export function noteDropped(connection: Connection, counters: Counters): void {
  counters.drops++;
  const state = connection.getUserData();
  // uWebSockets.js closes the connection itself. Until then more may be dropped.
  if (!state.isOverUnsentLimit) counters.ended["unsent-bytes"]++;
  state.isOverUnsentLimit = true;
}

/** Must be called with the arguments of the close handler. Counts the limit that the connection exceeded, if any. */
export function noteClosed(code: number, message: ArrayBuffer, counters: Counters): void {
  const endedBy = code === 1006 ? endedByMessage[Buffer.from(message).toString("latin1")] : undefined;
  if (endedBy !== undefined) counters.ended[endedBy]++;
}
