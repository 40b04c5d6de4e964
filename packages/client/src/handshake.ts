const PROTOCOL = "fanwire.v1";
/**
 * A longer token does not go into the URL: beside a few topics it would not fit into one packet, and a request line that
 * comes in pieces is refused. A header may come in pieces.
 */
const MAX_QUERY_TOKEN = 512;
/** What the name of a subprotocol may hold of what tokens consist of. */
const NAME = /^[\w.~-]+$/;

export type TokenPlace = {
  /** For the WebSocket. */
  readonly protocols: string | string[];
  /** For the query. */
  readonly token: string | undefined;
};

/** Puts the token into the query, or a long one into the list of subprotocols as `token.<token>`. */
export function placeToken(token: string | undefined): TokenPlace {
  const isLong = token !== undefined && token.length > MAX_QUERY_TOKEN && NAME.test(token);
  return isLong ? { protocols: [PROTOCOL, `token.${token}`], token: undefined } : { protocols: PROTOCOL, token };
}
