/** Advice to a client whose connection was closed. */
export type CloseAdvice =
  /** Reconnect after a random delay that grows with each failed attempt. */
  | "reconnect"
  /** Do not reconnect, because the same connection would be closed again. */
  | "stop";

export type CloseCode = {
  /** 1000 to 4999, as in RFC 6455. */
  readonly code: number;
  /** Reason in the close frame: at most 123 bytes. */
  readonly reason: string;
  readonly advice: CloseAdvice;
};

/**
 * Every WebSocket close code that a worker sends. Our own codes resemble those of HTTP: 44xx is an error of the client
 * and final; 45xx is an error of the cluster, after which the client reconnects. The limit of unsent bytes has no code.
 * A client that does not read cannot receive a close frame, so its connection is dropped and it sees 1006.
 */
export const closeCodes = {
  draining: { code: 1012, reason: "worker restarting, reconnect", advice: "reconnect" },
  malformedMessage: { code: 4400, reason: "malformed message", advice: "stop" },
  malformedQuery: { code: 4400, reason: "malformed query", advice: "stop" },
  /** A client with a new token may reconnect. The same holds for a refused token. */
  tokenExpired: { code: 4401, reason: "the token has expired", advice: "stop" },
  tokenRefused: { code: 4401, reason: "the token is not valid", advice: "stop" },
  closedByApplication: { code: 4403, reason: "closed by the application", advice: "stop" },
  /** A client that resumes from its position learns whether it missed publications. */
  publicationsMissed: { code: 4500, reason: "publications missed, reconnect", advice: "reconnect" },
  topicForbidden: { code: 4403, reason: "not authorized for this topic", advice: "stop" },
  /** The keys that verify tokens are not available now. */
  tokenUnchecked: { code: 4503, reason: "tokens cannot be verified now, reconnect", advice: "reconnect" },
  /** The worker has not read the history up to the position of the client. */
  workerBehind: { code: 4503, reason: "the history cannot be read here now, reconnect", advice: "reconnect" },
  inboundRate: { code: 4429, reason: "too many inbound messages", advice: "stop" },
} as const satisfies Record<string, CloseCode>;

/** Returns the advice for any close code, ours or of the WebSocket protocol. */
export function closeAdvice(code: number): CloseAdvice {
  const isFinal = (code >= 4400 && code <= 4499) || FINAL_STANDARD_CODES.has(code);
  return isFinal ? "stop" : "reconnect";
}

/**
 * Protocol error, unacceptable data, invalid text, policy, too big, missing extension. A retry would end in the same
 * way.
 */
const FINAL_STANDARD_CODES: ReadonlySet<number> = new Set([1002, 1003, 1007, 1008, 1009, 1010]);
