import { randomInt } from "node:crypto";
import { hostname } from "node:os";
import { openJetStreamHistory, startNatsBus } from "@fanwire/bus";
import { Subjects, type WorkerDescription, workerIdFrom } from "@fanwire/protocol";
import { type Log, type Readiness, type Running, VERSION } from "@fanwire/service";
import type { Registry } from "prom-client";
import { Commands } from "./client-commands.ts";
import type { PusherConfig } from "./config.ts";
import { startControl } from "./control.ts";
import { MemoryBudget } from "./core/memory-budget.ts";
import { Rates } from "./core/rates.ts";
import { Edge } from "./edge.ts";
import { EdgeApp } from "./edge-app.ts";
import { Entrance } from "./entrance.ts";
import { Greeter } from "./greeter.ts";
import { Handshakes } from "./handshake.ts";
import { createWorkerMetrics } from "./metrics.ts";
import { withinOpenFilesLimit } from "./open-files.ts";
import { openSseDoor } from "./sse.ts";
import { createTokenVerifier } from "./tokens.ts";
import { newTraffic } from "./traffic.ts";
import { openTrees } from "./trees.ts";
import { openWebSocketDoor } from "./websocket.ts";

export type Worker = Running & {
  readonly metrics: Registry;
  readiness(): Readiness;
};

/** Of replays, backlogs and waiting content, all together. */
const BUFFER_BYTES = 134_217_728;
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
  const edgeApp = new EdgeApp();
  const trees = openTrees(edgeApp.app);
  const budget = new MemoryBudget(BUFFER_BYTES);
  const history = await openJetStreamHistory({ bus, subjects, config: config.historyLimits, log });
  const edge = new Edge({ config, workerId, bus, subjects, traffic, trees, history, budget, log });
  const unsentLimit = config.limits.unsentBytes;
  const { frontier } = edge;
  const entrance = new Entrance({ bus, history, subjects, edge, budget, workerId, unsentLimit, traffic, log });
  const greeter = new Greeter(edge, entrance);
  const verifier = createTokenVerifier(config.tokens, { log });
  const handshakes = new Handshakes({
    edge,
    verifier,
    maxTopics: config.limits.topics,
    maxConnections: config.limits.connections,
    traffic,
  });
  const commands = new Commands({ bus, subjects, edge, entrance, verifier });
  const sse = openSseDoor(edgeApp, { config, edge, greeter, handshakes, traffic });
  openWebSocketDoor(edgeApp, { config, workerId, edge, greeter, handshakes, commands, traffic });
  // Not in between: publications come from now on, and uWebSockets.js without a WebSocket route dies of being asked for a tree.
  await frontier.ready();

  const rates = new Rates<"publications" | "deliveries" | "bytes" | "accepted">(RATE_SAMPLES);
  const sampleRates = () =>
    rates.sample(performance.now(), {
      publications: Object.values(traffic.publications).reduce((sum, count) => sum + count, 0),
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
    connections: edge.openConnections,
    rates: {
      publicationsPerSecond: rates.perSecond("publications"),
      deliveriesPerSecond: rates.perSecond("deliveries"),
      bytesPerSecond: rates.perSecond("bytes"),
      acceptedPerSecond: rates.perSecond("accepted"),
    },
  });

  const control = startControl({ bus, subjects, workerId, edge, log, describeWorker });
  await edgeApp.listen(config.host, port).catch(async (error: unknown) => {
    clearInterval(rateTimer);
    await control.stop();
    await bus.stop();
    throw error;
  });
  log.info({ host: config.host, port }, "worker listening");

  const stop = async () => {
    log.info({ connections: edge.openConnections, drainMs: config.drainMs }, "draining");
    clearInterval(rateTimer);
    edgeApp.closePort();
    await edge.drain(config.drainMs);
    sse.stop();
    entrance.stop();
    frontier.stop();
    history.stop();
    edgeApp.close();
    await control.stop();
    await bus.stop();
  };
  let stopped: Promise<void> | undefined;

  return {
    metrics: createWorkerMetrics({ slot, traffic, bus, edge, budget }),
    readiness: () => {
      if (edge.isDraining) return { ready: false, reason: "draining" };
      const health = bus.health();
      if (!health.alive) return { ready: false, reason: health.reason };
      return frontier.stalled === undefined ? { ready: true } : { ready: false, reason: frontier.stalled };
    },
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}
