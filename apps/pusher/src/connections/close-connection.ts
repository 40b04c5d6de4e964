import type { CloseCode } from "@fanwire/protocol";
import type { Connection } from "./connection.ts";

/** Closes a connection with a code, or with its protocol's equivalent. */
export function closeConnection(connection: Connection, closeCode: CloseCode): void {
  const { closing } = connection.getUserData().protocol;
  const { code, reason } = closing?.codeFor(closeCode) ?? closeCode;
  const lastFrame = closing?.lastFrame(closing.codeFor(closeCode));
  // A connection over its limit is closed by the frame, and must not be touched after that.
  if (lastFrame !== undefined && connection.send(lastFrame) === 2) return;
  connection.end(code, reason);
}
