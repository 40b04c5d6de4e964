import type { HttpRequest } from "uWebSockets.js";
import { upgradeProblem } from "../wire/opening-request.ts";
import { type TurnedAway, turnedAway } from "./refusals.ts";

/** Returns the values of all lines of a header. `getHeader` returns only the first. */
export function headerLines(request: HttpRequest, header: string): string[] {
  const lines: string[] = [];
  request.forEach((name, value) => {
    if (name === header) lines.push(value);
  });
  return lines;
}

/** Returns why a request is no valid WebSocket handshake. uWebSockets.js checks only the length of the key. */
export function upgradeRefusal(request: HttpRequest): TurnedAway | undefined {
  const problem = upgradeProblem({
    upgrade: listIn(request, "upgrade", "websocket"),
    connection: listIn(request, "connection", "upgrade"),
    version: request.getHeader("sec-websocket-version"),
    key: request.getHeader("sec-websocket-key"),
  });
  if (problem === undefined) return undefined;
  return turnedAway(problem === "key" ? "handshake" : "upgrade");
}

/** Returns the list in a header. Joins its lines only if the first does not have the wanted name. */
function listIn(request: HttpRequest, header: string, wanted: string): string {
  const first = request.getHeader(header);
  return first.toLowerCase().includes(wanted) ? first : headerLines(request, header).join(",");
}
