import { startOverNats } from "./own-process.ts";
import type { Server } from "./server.ts";

export const wsOverNats: Server = {
  name: "ws",
  summary: "peer: nats.js subscription → the package ws, a loop over its clients",
  start: (lab) => startOverNats(lab, "ws"),
};
