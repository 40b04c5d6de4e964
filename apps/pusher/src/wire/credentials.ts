/** The subprotocol that a client of fanwire.v1 asks for, and that the worker selects. */
export const FANWIRE_SUBPROTOCOL = "fanwire.v1";
/** A page cannot set headers of a WebSocket, but it can name subprotocols, which may have all characters of a JWT. */
const TOKEN_PREFIX = "token.";

export type Subprotocols = { readonly isFanwire: boolean; readonly tokens: readonly string[] };

/** Reads the values of all `Sec-WebSocket-Protocol` lines. */
export function readSubprotocols(lines: readonly string[]): Subprotocols {
  const names = lines.flatMap((line) => line.split(",")).map((name) => name.trim());
  return {
    isFanwire: names.includes(FANWIRE_SUBPROTOCOL),
    tokens: names.filter((name) => name.startsWith(TOKEN_PREFIX)).map((name) => name.slice(TOKEN_PREFIX.length)),
  };
}

/** Tokens of an `Authorization` header: one if its scheme is Bearer. */
export function readBearer(authorization: string): readonly string[] {
  const match = /^bearer(?:\s+(.*))?$/i.exec(authorization.trim());
  return match === null ? [] : [match[1] ?? ""];
}
