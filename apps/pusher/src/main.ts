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
    start: startPusher,
  },
  process.env,
);
