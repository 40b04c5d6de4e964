import { type ConnectionAddress, isWorkerId, parseConnectionId } from "@fanwire/protocol";

/** Worker ids are 8 characters of `[a-z0-9]`, so they are numbers of base 36 below 36^8, which is a safe integer. */
const BASE = 36;
const SOCKET_ID = /^([1-9][0-9]{10,12})\.([1-9][0-9]{0,15})$/;

/**
 * Returns the Pusher name of a connection: `<number>.<connectionId>`, where the number is the worker id. Only the ids
 * of our own workers have this form.
 */
export function formatSocketId({ workerId, connectionId }: ConnectionAddress): string {
  return `${Number.parseInt(workerId, BASE)}.${connectionId}`;
}

/** Returns the connection that a socket id names, or undefined for text that {@link formatSocketId} never writes. */
export function parseSocketId(text: string): ConnectionAddress | undefined {
  const [, worker = "", connection = ""] = SOCKET_ID.exec(text) ?? [];
  const workerId = Number(worker).toString(BASE);
  const connectionId = parseConnectionId(connection);
  return isWorkerId(workerId) && connectionId !== undefined ? { workerId, connectionId } : undefined;
}
