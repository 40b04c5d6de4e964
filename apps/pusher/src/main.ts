import { ConfigError, createLog, runService } from "@fanwire/service";
import { configWarnings, pusherSettings, readConfig } from "./config.ts";
import { uwsProblem } from "./process/native-module.ts";

await runService(
  {
    name: "pusher",
    summary: "the hub: holds the browsers' connections and delivers publications to them.",
    settings: pusherSettings,
    readConfig,
    createLog: (config) => createLog("pusher", config.logLevel),
    warnings: configWarnings,
    // A static import would load uWebSockets.js first, and end with a stack trace where it does not load.
    start: async (config, log, signal) => {
      // uWebSockets.js takes it from the environment, and so do the worker processes, which inherit it.
      process.env.UWS_HTTP_MAX_HEADERS_SIZE = String(config.limits.headerBytes);
      const { startPusher } = await import("./process/pusher.ts").catch((cause: unknown) => {
        const problem = uwsProblem(cause);
        throw problem === undefined ? cause : new ConfigError(problem, { cause });
      });
      return startPusher(config, log, signal);
    },
  },
  process.env,
);
