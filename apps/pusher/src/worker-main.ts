import { createLog } from "@fanwire/service";
import { readConfig } from "./config.ts";
import { startWorker, type Worker } from "./process/worker.ts";
import { type FromWorker, HEARTBEAT_MS, type ToWorker } from "./process/worker-messages.ts";

/** Entry of a worker process. The supervisor forks it, and starts and stops it with messages. */
const config = readConfig(process.env);
const log = createLog("pusher", config.logLevel);
const stopRequested = new AbortController();
let starting: Promise<Worker> | undefined;

const send = (message: FromWorker) => process.send?.(message);

const start = async (slot: number, port: number) => {
  starting = startWorker({ config, slot, port, log, signal: stopRequested.signal });
  const worker = await starting;
  send({ type: "listening" });
  setInterval(() => send({ type: "heartbeat", readiness: worker.readiness() }), HEARTBEAT_MS);
};

const reportMetrics = async (requestId: number) => {
  const worker = await starting;
  if (worker) send({ type: "metrics", requestId, metrics: await worker.metrics.getMetricsAsJSON() });
};

const stop = async () => {
  stopRequested.abort();
  const worker = await starting?.catch(() => undefined);
  await worker?.stop();
  process.exit(0);
};

const fail = (error: unknown) => {
  if (stopRequested.signal.aborted) return;
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
// Ctrl-C reaches the whole process group, but only the supervisor handles it.
process.on("SIGINT", () => {});
// Without its supervisor, this process would hold the port until an operator killed it.
process.on("disconnect", () => process.exit(1));
