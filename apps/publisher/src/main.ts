import { createLog, run } from "@fanwire/service";
import { publisherSettings, readConfig } from "./config.ts";
import { startPublisher } from "./publisher.ts";

await run(
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
