const PROTOCOL = "fanwire.v1";
/**
 * Maximum length of a token in the query. With a longer one and a few topics the request line no longer fits into one TCP
 * segment, and uWebSockets.js refuses a request line in two segments. Headers may be split.
 */
const MAX_QUERY_TOKEN = 512;
/** Characters of a JWT, all of which the name of a subprotocol may contain. */
const NAME = /^[\w.~-]+$/;

export type TokenPlace = {
  /** Argument of the WebSocket constructor. */
  readonly protocols: string | string[];
  /** Value of the query parameter `token`, if any. */
  readonly token: string | undefined;
};

/** Returns where the handshake carries the token: in the query, or a long one as the subprotocol `token.<token>`. */
export function placeToken(token: string | undefined): TokenPlace {
  const isLong = token !== undefined && token.length > MAX_QUERY_TOKEN && NAME.test(token);
  return isLong ? { protocols: [PROTOCOL, `token.${token}`], token: undefined } : { protocols: PROTOCOL, token };
}
