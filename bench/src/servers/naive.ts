import { startOverNats } from "./own-process.ts";
import type { Server } from "./server.ts";

/** The pusher one writes in an afternoon; what the real one does beyond it must not cost more. */
export const naive: Server = {
  name: "naive",
  summary: "nats.js subscription → uWebSockets.js app.publish; no limits, no metrics",
  start: (lab) => startOverNats(lab, "naive"),
};
