/** Reaction to a closed connection. */
export type Advice = "reconnect" | "stop" | "renew-token";

/** Close code for a token that has expired or was refused. */
export const TOKEN_REFUSED = 4401;

/**
 * Returns the reaction to a close code, as docs/protocol.md describes it: 44xx is an error of the client and final,
 * except for a refused token. Standard codes are final for errors that a retry would repeat: protocol error,
 * unacceptable or invalid data, policy, too big, missing extension. A test compares this function with the table of the
 * workers.
 */
export function closeAdvice(code: number): Advice {
  if (code === TOKEN_REFUSED) return "renew-token";
  const isRefused = code === 1002 || code === 1003 || (code >= 1007 && code <= 1010);
  return isRefused || (code >= 4400 && code <= 4499) ? "stop" : "reconnect";
}
