import { createLog, run } from "@fanwire/service";
import { pusherSettings, readConfig } from "./config.ts";
import { startPusher } from "./pusher.ts";

await run(
  {
    name: "pusher",
    summary: "the edge: holds the browsers' connections and delivers publications to them.",
    settings: pusherSettings,
    readConfig,
    createLog: (config) => createLog("pusher", config.logLevel),
    start: (config, log, signal) => {
      // uWebSockets.js takes it from the environment, and so do the worker processes, which inherit it.
      process.env.UWS_HTTP_MAX_HEADERS_SIZE = String(config.limits.headerBytes);
      return startPusher(config, log, signal);
    },
  },
  process.env,
);
