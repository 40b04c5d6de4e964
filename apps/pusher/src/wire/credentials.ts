/**
 * A page cannot set the headers of a WebSocket, but it can offer subprotocols. Their names may contain all characters
 * of a JWT.
 */
const TOKEN_PREFIX = "token.";

/** The subprotocols that a client offers, and the tokens among them. */
export type Subprotocols = { readonly names: readonly string[]; readonly tokens: readonly string[] };

/** Reads the values of all `Sec-WebSocket-Protocol` lines. */
export function readSubprotocols(lines: readonly string[]): Subprotocols {
  const names = lines.flatMap((line) => line.split(",")).map((name) => name.trim());
  return {
    names,
    tokens: names.filter((name) => name.startsWith(TOKEN_PREFIX)).map((name) => name.slice(TOKEN_PREFIX.length)),
  };
}

/** Returns the token of an `Authorization` header with the scheme Bearer. */
export function readBearer(authorization: string): readonly string[] {
  const match = /^bearer(?:\s+(.*))?$/i.exec(authorization.trim());
  return match === null ? [] : [match[1] ?? ""];
}
