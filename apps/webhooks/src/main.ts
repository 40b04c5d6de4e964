import { createLog, runService } from "@fanwire/service";
import { configWarnings, readConfig, webhooksSettings } from "./config.ts";
import { startWebhooks } from "./webhooks.ts";

await runService(
  {
    name: "webhooks",
    summary: "announces the events of the cluster and posts them to webhooks.",
    settings: webhooksSettings,
    readConfig,
    createLog: ({ logLevel }) => createLog("webhooks", logLevel),
    warnings: configWarnings,
    start: startWebhooks,
  },
  process.env,
);
