import type { ServedProtocol, ServingParts } from "./served-protocol.ts";
import type { UwsApp } from "./uws-app.ts";
import { openWebSocketRoute } from "./websocket.ts";

/** Opens the routes of all protocols. Returns what stops their timers. */
export function openProtocols(
  app: UwsApp,
  protocols: readonly ServedProtocol[],
  parts: ServingParts,
): { stop(): void } {
  const routed = protocols.flatMap((protocol) => ("openRoutes" in protocol ? protocol.openRoutes(app, parts) : []));
  // Last, because it matches all paths.
  openWebSocketRoute(
    app,
    protocols.flatMap((protocol) => ("openSessions" in protocol ? protocol : [])),
    parts,
  );
  return {
    stop: () => {
      for (const each of routed) each.stop();
    },
  };
}
