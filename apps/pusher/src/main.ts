import { ConfigError, createLog, runService } from "@fanwire/service";
import { configWarnings, pusherSettings, readConfig } from "./config.ts";
import { uwsProblem } from "./process/native-module.ts";

await runService(
  {
    name: "pusher",
    summary: "holds the clients' connections and delivers publications to them.",
    settings: pusherSettings,
    readConfig,
    createLog: (config) => createLog("pusher", config.logLevel),
    warnings: configWarnings,
    // With a static import, a failure to load uWebSockets.js would end the process with a stack trace.
    start: async (config, log, signal) => {
      // uWebSockets.js reads this variable, and worker processes inherit it.
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
