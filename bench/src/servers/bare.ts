import { plainDialect } from "../client/dialect.ts";
import { startSelfFed } from "./own-process.ts";
import type { Server } from "./server.ts";

/** The baseline of all comparisons: the library of the pusher, with fan-out only. */
export const bare: Server = {
  name: "bare",
  summary: "uWebSockets.js app.publish, fed by a timer in its own process; no NATS",
  start: (lab) => startSelfFed(lab, "bare"),
};

export const bareSse: Server = {
  name: "bare-sse",
  summary: "the same library writing events to HTTP responses, one by one",
  start: (lab) => startSelfFed(lab, "bare", { ...plainDialect, transport: "events", path: "/sse", greetings: 1 }),
};
