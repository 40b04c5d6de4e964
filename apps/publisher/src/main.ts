import { createLog, runService } from "@fanwire/service";
import { publisherSettings, readConfig } from "./config.ts";
import { startPublisher } from "./publisher.ts";

await runService(
  {
    name: "publisher",
    summary: "Publishes to a Fanwire cluster over HTTP.",
    settings: publisherSettings,
    readConfig,
    createLog: ({ logLevel }) => createLog("publisher", logLevel),
    start: (config, log, signal) => startPublisher(config, { log }, signal),
  },
  process.env,
);
