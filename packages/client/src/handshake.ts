const PROTOCOL = "fanwire.v1";
/**
 * Maximum length of a token in the query. With a longer one and a few topics the request line no longer fits into one
 * TCP segment. uWebSockets.js refuses a request line in two segments. Headers may be split.
 */
const MAX_QUERY_TOKEN = 512;
/**
 * Maximum length of a token in a header. Workers accept 16 KiB of headers by default and proxies 8 KiB, cookies
 * included.
 */
const MAX_HEADER_TOKEN = 4_096;
/** Characters of a JWT, all of which the name of a subprotocol may contain. */
const NAME = /^[\w.~-]+$/;

export type TokenPlace = {
  /** Argument of the WebSocket constructor. */
  readonly protocols: string | string[];
  /** Value of the query parameter `token`, if any. */
  readonly token: string | undefined;
  /** Token of a refresh command that must be sent first, if any. */
  readonly firstCommand: string | undefined;
};

/**
 * Returns where a connection carries the token: in the query, as the subprotocol `token.<token>`, or in the first
 * command. Publications to the user may resume from another position than the connection (`resumesUserApart`). Only the
 * first command has a field for that.
 */
export function placeToken(token: string | undefined, resumesUserApart: boolean): TokenPlace {
  const nowhere = { protocols: PROTOCOL, token: undefined, firstCommand: undefined };
  if (token === undefined || (token.length <= MAX_QUERY_TOKEN && !resumesUserApart)) return { ...nowhere, token };
  const fitsHeader = token.length <= MAX_HEADER_TOKEN && NAME.test(token) && !resumesUserApart;
  return fitsHeader ? { ...nowhere, protocols: [PROTOCOL, `token.${token}`] } : { ...nowhere, firstCommand: token };
}
