/** What a client should do when its connection was closed. */
export type CloseAdvice =
  /** Come back after a random delay that grows with each failed attempt. */
  | "reconnect"
  /** Do not come back unasked: the same connection would be closed again. */
  | "stop";

export type CloseCode = {
  /** 1000 to 4999, as in RFC 6455. */
  readonly code: number;
  /** The close frame's reason: at most 123 bytes. */
  readonly reason: string;
  readonly advice: CloseAdvice;
};

/**
 * Every WebSocket close code a worker sends. Our own follow the habit of HTTP: 44xx is the client's doing and final, 45xx
 * is ours and the client comes back. A limit on unsent bytes has no code: who does not read cannot read a close frame,
 * so the connection ends abruptly and the client sees 1006.
 */
export const closeCodes = {
  draining: { code: 1012, reason: "the worker is restarting, come back", advice: "reconnect" },
  malformedMessage: { code: 4400, reason: "malformed message", advice: "stop" },
  malformedQuery: { code: 4400, reason: "the query is malformed", advice: "stop" },
  /** Worth coming back for with a new token, as is a token that was refused. */
  tokenExpired: { code: 4401, reason: "the token has expired", advice: "stop" },
  tokenRefused: { code: 4401, reason: "the token is not valid", advice: "stop" },
  closedByApplication: { code: 4403, reason: "closed by the application", advice: "stop" },
  /** Coming back to its position it hears whether it missed anything. */
  publicationsMissed: { code: 4500, reason: "publications were missed, come back", advice: "reconnect" },
  topicForbidden: { code: 4403, reason: "the token does not allow to follow this", advice: "stop" },
  /** The keys that it would be checked with cannot be had now. */
  tokenUnchecked: { code: 4503, reason: "tokens cannot be checked now, come back", advice: "reconnect" },
  inboundRate: { code: 4429, reason: "too many inbound messages", advice: "stop" },
} as const satisfies Record<string, CloseCode>;

/** What a client should do about any close code, ours or of the protocol itself. */
export function closeAdvice(code: number): CloseAdvice {
  const isFinal = (code >= 4400 && code <= 4499) || FINAL_STANDARD_CODES.has(code);
  return isFinal ? "stop" : "reconnect";
}

/** Protocol error, unacceptable data, invalid text, policy, too big, missing extension: repeating it changes nothing. */
const FINAL_STANDARD_CODES: ReadonlySet<number> = new Set([1002, 1003, 1007, 1008, 1009, 1010]);
