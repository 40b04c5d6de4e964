import type { CloseCode } from "@fanwire/protocol";

const stop = (code: number, reason: string): CloseCode => ({ code, reason, advice: "stop" });
const reconnect = (code: number, reason: string): CloseCode => ({ code, reason, advice: "reconnect" });

/**
 * Close codes of the Pusher protocol. Clients do not reconnect after 40xx. They reconnect a second after 41xx, and at
 * once after 42xx. A client that finds no listener then waits for 15 s, so codes from 4200 on need another listener at
 * the same address.
 */
export const pusherCodes = {
  unknownApp: stop(4001, "no app has this key"),
  overQuota: stop(4004, "the app has the maximum number of connections"),
  malformedVersion: stop(4006, "malformed version"),
  unsupportedProtocol: stop(4007, "unsupported protocol version: use 5, 6 or 7"),
  noProtocol: stop(4008, "no protocol version"),
  originForbidden: stop(4009, "pages of this origin must not connect"),
  unauthorized: stop(4009, "the connection neither signed in nor subscribed to a private channel in time"),
  closedByApplication: stop(4009, "closed by the application"),
  draining: reconnect(4100, "worker restarting, reconnect"),
  full: reconnect(4100, "over capacity, reconnect"),
  inboundRate: reconnect(4100, "too many messages, reconnect"),
  again: reconnect(4200, "reconnect"),
  noPong: reconnect(4201, "no pong"),
} as const satisfies Record<string, CloseCode>;

/** Codes of `pusher:error` events, after which the connection stays open. */
export const pusherErrors = { unauthorized: 4009, clientEvents: 4301, watchlistLimit: 4302 } as const;

/** All codes with which connections are closed. */
export const ALL_PUSHER_CODES: ReadonlySet<number> = new Set(Object.values(pusherCodes).map(({ code }) => code));

/** Whether a client does not reconnect after a code. */
export function staysAway(code: number): boolean {
  return code < 4100;
}

/** Whether a code is of the Pusher protocol. Our own codes begin at 4400. */
export function isPusherCode(code: number): boolean {
  return code >= 4000 && code < 4400;
}
