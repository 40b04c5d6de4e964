import { createLog } from "@fanwire/service";
import { readConfig } from "./config.ts";
import { startWorker, type Worker } from "./process/worker.ts";
import { type FromWorker, HEARTBEAT_MS, type ToWorker } from "./process/worker-messages.ts";

/** Entry of a worker process. Its supervisor forks it, starts it with a message and stops it with another. */
const config = readConfig(process.env);
const log = createLog("pusher", config.logLevel);
const stopAsked = new AbortController();
let starting: Promise<Worker> | undefined;

const send = (message: FromWorker) => process.send?.(message);

const start = async (slot: number, port: number) => {
  starting = startWorker({ config, slot, port, log, signal: stopAsked.signal });
  const worker = await starting;
  send({ type: "listening" });
  setInterval(() => send({ type: "heartbeat", readiness: worker.readiness() }), HEARTBEAT_MS);
};

const reportMetrics = async (requestId: number) => {
  const worker = await starting;
  if (worker) send({ type: "metrics", requestId, metrics: await worker.metrics.getMetricsAsJSON() });
};

const stop = async () => {
  stopAsked.abort();
  const worker = await starting?.catch(() => undefined);
  await worker?.stop();
  process.exit(0);
};

const fail = (error: unknown) => {
  if (stopAsked.signal.aborted) return;
  log.fatal({ err: error }, "worker failed");
  process.exit(1);
};

process.on("message", (message: ToWorker) => {
  switch (message.type) {
    case "start":
      return void start(message.slot, message.port).catch(fail);
    case "report-metrics":
      return void reportMetrics(message.requestId).catch(fail);
    case "stop":
      return void stop().catch(fail);
  }
});
process.on("unhandledRejection", fail);
process.on("uncaughtException", fail);
process.on("SIGTERM", () => void stop().catch(fail));
// Ctrl-C reaches the whole process group; the supervisor decides what it means.
process.on("SIGINT", () => {});
// Without its supervisor nobody would restart or stop this process, and it would hold the port.
process.on("disconnect", () => process.exit(1));
