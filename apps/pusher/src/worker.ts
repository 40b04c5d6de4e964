import { randomInt } from "node:crypto";
import { hostname } from "node:os";
import { startNatsBus } from "@fanwire/bus";
import { Subjects, type WorkerDescription, workerIdFrom } from "@fanwire/protocol";
import { type Log, type Readiness, type Running, VERSION } from "@fanwire/service";
import type { Registry } from "prom-client";
import type { PusherConfig } from "./config.ts";
import { startControl } from "./control.ts";
import { Rates } from "./core/rates.ts";
import { startDelivery } from "./delivery.ts";
import { createWorkerMetrics } from "./metrics.ts";
import { withinOpenFilesLimit } from "./open-files.ts";
import { newTraffic } from "./traffic.ts";
import { WebSocketDoor } from "./websocket.ts";

export type Worker = Running & {
  readonly metrics: Registry;
  readiness(): Readiness;
};

const RATE_SAMPLE_MS = 2_000;
const RATE_SAMPLES = 6;

/** One worker: connects to NATS, then opens the edge. `slot` tells the workers of one supervisor apart. */
export async function startWorker(options: {
  readonly config: PusherConfig;
  readonly slot: number;
  readonly port: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<Worker> {
  const { slot, port, signal } = options;
  const workerId = workerIdFrom(() => randomInt(2 ** 32) / 2 ** 32);
  const log = options.log.child({ workerId, slot });
  const config = withinOpenFilesLimit(options.config, log);

  const bus = await startNatsBus({ config: config.bus, name: `fanwire-pusher ${workerId}`, log, signal });
  const subjects = new Subjects(config.bus.prefix);
  const traffic = newTraffic();
  const door = new WebSocketDoor({ config, workerId, traffic });
  const openConnections = () => door.openConnections;

  const rates = new Rates<"publications" | "deliveries" | "bytes" | "accepted">(RATE_SAMPLES);
  const sampleRates = () =>
    rates.sample(performance.now(), {
      publications: traffic.publications.everyone + traffic.publications.connection,
      deliveries: traffic.deliveries,
      bytes: traffic.deliveredBytes,
      accepted: traffic.accepted,
    });
  sampleRates();
  const rateTimer = setInterval(sampleRates, RATE_SAMPLE_MS);

  const describeWorker = (): WorkerDescription => ({
    id: workerId,
    host: hostname(),
    pid: process.pid,
    version: VERSION,
    uptimeSeconds: Math.floor(process.uptime()),
    connections: door.openConnections,
    rates: {
      publicationsPerSecond: rates.perSecond("publications"),
      deliveriesPerSecond: rates.perSecond("deliveries"),
      bytesPerSecond: rates.perSecond("bytes"),
      acceptedPerSecond: rates.perSecond("accepted"),
    },
  });

  startDelivery({ bus, subjects, workerId, door, traffic });
  startControl({ bus, subjects, workerId, door, log, describeWorker });
  await door.listen(config.host, port).catch(async (error: unknown) => {
    clearInterval(rateTimer);
    await bus.stop();
    throw error;
  });
  log.info({ host: config.host, port }, "worker listening");

  const stop = async () => {
    log.info({ connections: door.openConnections, drainMs: config.drainMs }, "draining");
    clearInterval(rateTimer);
    await door.drain(config.drainMs);
    await bus.stop();
  };
  let stopped: Promise<void> | undefined;

  return {
    metrics: createWorkerMetrics({ slot, traffic, bus, openConnections }),
    readiness: () => {
      if (door.isDraining) return { ready: false, reason: "draining" };
      const health = bus.health();
      return health.alive ? { ready: true } : { ready: false, reason: health.reason };
    },
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}
