import { setImmediate as nextTurn } from "node:timers/promises";
import { type Bus, startNatsBus } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { type Admin, type Log, type Readiness, type Running, startAdmin } from "@fanwire/service";
import { ApiKeys } from "./auth.ts";
import { Cluster } from "./cluster.ts";
import type { PublisherConfig } from "./config.ts";
import { createApi } from "./http.ts";
import { JsonBodies } from "./json-body.ts";
import { LateBus, type PublisherBus } from "./late-bus.ts";
import { PublisherMetrics } from "./metrics.ts";
import { type ApiServer, startApiServer } from "./server.ts";

/** How long a stop waits for requests in hand: longer than NATS and a worker together may take to answer one. */
const STOP_GRACE_MS = 5_000;

export type Publisher = Running & AsyncDisposable & { readonly port: number; readonly adminPort: number };

/**
 * Starts the HTTP API and its admin port. It is usable at once: until NATS is reached, however long that takes, what needs
 * NATS is answered with 503.
 *
 * @param parts.bus used instead of a connection of its own; whoever gives it stops it.
 * @throws when an address cannot be bound, or the credentials of NATS cannot be read.
 */
export async function startPublisher(
  config: PublisherConfig,
  parts: { readonly bus?: Bus; readonly log: Log },
  signal: AbortSignal,
): Promise<Publisher> {
  const { log } = parts;
  const stopping = new AbortController();
  const bus = parts.bus ?? (await connectLate(config, log, AbortSignal.any([signal, stopping.signal])));
  const metrics = new PublisherMetrics(bus);
  const readiness = () => (stopping.signal.aborted ? STOPPING : natsReadiness(bus));

  const running: { admin?: Admin; server?: ApiServer } = {};
  const stop = async () => {
    stopping.abort();
    await running.server?.stop(STOP_GRACE_MS);
    if (parts.bus === undefined) await bus.stop();
    await running.admin?.stop();
  };
  try {
    const source = { readiness, metrics: () => metrics.registry.metrics() };
    running.admin = await startAdmin({ host: config.adminHost, port: config.adminPort, source, log });
    running.server = await startApiServer(buildApi(config, bus, metrics, log), config.host, config.port);
  } catch (error) {
    await stop();
    throw error;
  }

  const { port } = running.server;
  const adminPort = running.admin.port;
  log.info({ host: config.host, port, adminPort }, "publisher listening");
  if (config.apiKeys.length === 0 && !isLoopback(config.host)) {
    log.warn({ host: config.host }, "anybody who reaches this address may publish: set PUBLISHER_API_KEYS");
  }
  let stopped: Promise<void> | undefined;
  const stopOnce = () => (stopped ??= stop());
  return { port, adminPort, stop: stopOnce, [Symbol.asyncDispose]: stopOnce };
}

const STOPPING: Readiness = { ready: false, reason: "stopping" };

function natsReadiness(bus: PublisherBus): Readiness {
  const health = bus.health();
  return health.alive ? { ready: true } : { ready: false, reason: health.reason };
}

function buildApi(config: PublisherConfig, bus: PublisherBus, metrics: PublisherMetrics, log: Log) {
  const subjects = new Subjects(config.bus.prefix);
  const cluster = new Cluster({ bus, subjects, requestTimeoutMs: config.requestTimeoutMs, metrics, log });
  const keys = new ApiKeys(config.apiKeys);
  return createApi({ config, cluster, keys, bodies: new JsonBodies(config, metrics.heldBodyBytes), metrics, log });
}

/** A bus that begins to connect. Rejects when it never could. */
async function connectLate(config: PublisherConfig, log: Log, signal: AbortSignal): Promise<LateBus> {
  const bus = new LateBus();
  const connected = startNatsBus({ config: config.bus, name: "fanwire publisher", log, signal }).then((connection) => {
    bus.arrive(connection);
    // Reached at the very moment of stopping: nobody else would close it.
    if (signal.aborted) void connection.stop();
  });
  connected.catch((error: unknown) => {
    if (!signal.aborted) log.error({ err: error }, "NATS cannot be used");
  });
  // A file that cannot be read fails at once; all else is tried again for ever.
  await Promise.race([connected, nextTurn()]);
  return bus;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
