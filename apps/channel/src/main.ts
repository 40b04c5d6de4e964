import { createLog, runService } from "@fanwire/service";
import { startChannel } from "./channel-server.ts";
import { channelSettings, readConfig } from "./config.ts";

await runService(
  {
    name: "channel",
    summary: "the channel server for Workerman's Channel\\Client, on NATS.",
    settings: channelSettings,
    readConfig,
    createLog: ({ logLevel }) => createLog("channel", logLevel),
    start: startChannel,
  },
  process.env,
);
