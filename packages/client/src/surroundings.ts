import type { WebSocketConstructor } from "./transport.ts";

/** Globals of browsers that Node may not have. Declared here so that a compilation needs no types of either. */
const surroundings: { readonly WebSocket?: WebSocketConstructor; readonly location?: { readonly href: string } } =
  globalThis;

/** @throws TypeError when there is no WebSocket. */
export function globalWebSocket(): WebSocketConstructor {
  if (surroundings.WebSocket === undefined) {
    throw new TypeError("no global WebSocket: pass one");
  }
  return surroundings.WebSocket;
}

/** Resolves a URL that may be relative to the page. */
export function absoluteUrl(url: string | URL): URL {
  return new URL(url, surroundings.location?.href);
}
