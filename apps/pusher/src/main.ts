import { ConfigError, createLog, runService } from "@fanwire/service";
import { configWarnings, pusherSettings, readConfig } from "./config.ts";
import { uwsLoadProblem } from "./process/native-module.ts";
import { startPusher } from "./process/pusher.ts";

await runService(
  {
    name: "pusher",
    summary: "holds the clients' connections and delivers publications to them.",
    settings: pusherSettings,
    readConfig,
    createLog: (config) => createLog("pusher", config.logLevel),
    warnings: configWarnings,
    start: async (config, log, signal) => {
      // uWebSockets.js reads this variable when it is loaded, and worker processes inherit it.
      process.env.UWS_HTTP_MAX_HEADERS_SIZE = String(config.limits.headerBytes);
      // Workers load it after they have connected to NATS. Their failure would be a stack trace, again and again.
      const problem = uwsLoadProblem();
      if (problem !== undefined) throw new ConfigError(problem);
      return startPusher(config, log, signal);
    },
  },
  process.env,
);
