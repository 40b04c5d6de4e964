import { type Log, type Readiness, type Running, startAdmin } from "@fanwire/service";
import type { PusherConfig } from "../config.ts";
import { readServedCertificate } from "../tls/tls-settings.ts";
import { reservePort } from "./port.ts";
import { Supervisor } from "./supervisor.ts";
import { startWorker, type Worker } from "./worker.ts";

export type Pusher = Running & AsyncDisposable & { readonly port: number; readonly adminPort: number };

/** One worker in this process, or a supervisor of several. */
type WorkerOrSupervisor = Running & { readiness(): Readiness; metricsText(): Promise<string> };

/** Starts a pusher with one or several workers. Resolves when clients can connect, which needs NATS. */
export async function startPusher(config: PusherConfig, log: Log, signal: AbortSignal): Promise<Pusher> {
  // Checked before the workers are started, because these end without a clear message.
  if (config.tlsFiles !== undefined) await readServedCertificate(config.tlsFiles);
  const port = await reservePort(config.host, config.port);

  let running: WorkerOrSupervisor | undefined;
  const admin = await startAdmin({
    host: config.adminHost,
    port: config.adminPort,
    log,
    source: {
      readiness: () => running?.readiness() ?? { ready: false, reason: "starting" },
      metrics: async () => (await running?.metricsText()) ?? "",
    },
  });
  log.info({ host: config.adminHost, port: admin.port }, "admin port open");

  running = await (config.workers === 1 ? startSingle : startSupervised)({ ...config, port }, log, signal).catch(
    async (error: unknown) => {
      await admin.stop();
      throw error;
    },
  );
  const started = running;
  const stop = async () => {
    await started.stop();
    await admin.stop();
  };
  return { port, adminPort: admin.port, stop, [Symbol.asyncDispose]: stop };
}

async function startSingle(config: PusherConfig, log: Log, signal: AbortSignal): Promise<WorkerOrSupervisor> {
  const worker: Worker = await startWorker({ config, slot: 1, port: config.port, log, signal });
  return {
    readiness: () => worker.readiness(),
    metricsText: () => worker.metrics.metrics(),
    stop: () => worker.stop(),
  };
}

async function startSupervised(config: PusherConfig, log: Log, signal: AbortSignal): Promise<WorkerOrSupervisor> {
  const supervisor = new Supervisor(config, log);
  signal.addEventListener("abort", () => void supervisor.stop(), { once: true });
  try {
    await supervisor.start();
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
  log.info({ host: config.host, port: config.port, workers: config.workers }, "all workers listening");
  return {
    readiness: () => supervisor.readiness(),
    metricsText: () => supervisor.metrics(),
    stop: () => supervisor.stop(),
  };
}
