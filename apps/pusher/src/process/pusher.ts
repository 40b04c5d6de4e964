import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { type Log, type Readiness, type Running, startAdmin } from "@fanwire/service";
import type { PusherConfig } from "../config.ts";
import { Supervisor } from "./supervisor.ts";
import { startWorker, type Worker } from "./worker.ts";

export type Pusher = Running & AsyncDisposable & { readonly port: number; readonly adminPort: number };

/** One worker in this process, or a supervisor of several. */
type WorkerOrSupervisor = Running & { readiness(): Readiness; metricsText(): Promise<string> };

/** Starts a pusher with one or several workers. Resolves when clients can connect, which needs NATS. */
export async function startPusher(config: PusherConfig, log: Log, signal: AbortSignal): Promise<Pusher> {
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

/** Range below the ports that Linux assigns to outgoing connections and to listeners on port 0. */
const LOWEST_FREE = 12_000;
const HIGHEST_FREE = 32_000;
const MAX_TRIES = 100;

/**
 * Returns the port that all workers will share; 0 becomes a free one. The kernel would let another process of the same user share
 * the port too, and silently take half of the connections. A listener that does not share the port detects that.
 */
async function reservePort(host: string, port: number): Promise<number> {
  if (port !== 0) return probePort(host, port);
  // The kernel could assign a port of its own choice to an outgoing connection before the workers listen on it.
  for (let tries = 1; ; tries++) {
    const candidate = randomInt(LOWEST_FREE, HIGHEST_FREE);
    try {
      return await probePort(host, candidate);
    } catch (error) {
      if (tries === MAX_TRIES) throw error;
    }
  }
}

/** Resolves with the port if no process listens on it. */
function probePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) => reject(new Error(`cannot listen on ${host}:${port}`, { cause: error })));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(port)));
  });
}
