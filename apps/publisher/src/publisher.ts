import { answerServiceRequests, type Bus, NatsBus, openJetStreamHistory } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { type Admin, isLoopback, type Log, type Readiness, type Running, startAdmin } from "@fanwire/service";
import { createApi } from "./app.ts";
import { Cluster } from "./cluster/cluster-client.ts";
import { ClusterCounters } from "./cluster/counters.ts";
import { Traces } from "./cluster/trace/traces.ts";
import type { PublisherConfig } from "./config.ts";
import type { Api } from "./http/api.ts";
import { ApiKeys } from "./http/api-keys.ts";
import { JsonBodies } from "./http/json-body.ts";
import { type ApiServer, startApiServer } from "./http/server.ts";
import { PublisherMetrics } from "./metrics.ts";

/** Maximum time that a stop waits for requests in flight. It covers the timeouts of NATS and of a worker together. */
const STOP_GRACE_MS = 5_000;

export type Publisher = Running & AsyncDisposable & { readonly port: number; readonly adminPort: number };

/**
 * Starts the HTTP API and its admin port. They accept requests at once. Until NATS is reached, requests that need it
 * are answered with 503.
 *
 * @throws if an address cannot be bound, or the NATS credentials cannot be read.
 */
export async function startPublisher(
  config: PublisherConfig,
  { log }: { readonly log: Log },
  signal: AbortSignal,
): Promise<Publisher> {
  const stopping = new AbortController();
  const subjects = new Subjects(config.bus.prefix);
  const bus = new NatsBus({ config: config.bus, name: "fanwire publisher", log });
  const history = await openJetStreamHistory({ bus, subjects, config: config.historyLimits, log });
  // Rejects only when the publisher stops before NATS was reached.
  bus.connect(AbortSignal.any([signal, stopping.signal])).catch(() => {});
  const counters = new ClusterCounters();
  const metrics = new PublisherMetrics(bus, counters, config);
  answerServiceRequests({ bus, subjects, kind: "publisher", counts: () => publisherCounts(metrics, counters) });
  const readiness = () => (stopping.signal.aborted ? STOPPING : natsReadiness(bus));

  const { requestTimeoutMs, receiptTimeoutMs } = config;
  const cluster = new Cluster({ bus, history, subjects, counters, log, requestTimeoutMs, receiptTimeoutMs });
  const traces = new Traces({ bus, history, subjects, counters, log });
  const running: { admin?: Admin; server?: ApiServer } = {};
  const stop = async () => {
    stopping.abort();
    // Requests that wait for a new leader of the history are answered now, because they would get no answer later.
    history.stop();
    // Traces do not end by themselves, so the server would wait for them until its grace time is over.
    traces.stop();
    await running.server?.stop(STOP_GRACE_MS);
    cluster.stop();
    await bus.stop();
    await running.admin?.stop();
  };
  try {
    const source = { readiness, metrics: () => metrics.registry.metrics() };
    running.admin = await startAdmin({ host: config.adminHost, port: config.adminPort, source, log });
    running.server = await startApiServer(
      buildApi({ config, subjects, cluster, history, traces, metrics, log }),
      config.host,
      config.port,
    );
  } catch (error) {
    await stop();
    throw error;
  }

  const { port } = running.server;
  const adminPort = running.admin.port;
  log.info({ host: config.host, port, adminPort }, "publisher listening");
  if (config.apiKeys.length === 0 && !isLoopback(config.host)) {
    log.warn(
      { host: config.host },
      "no API keys: every client that reaches this address may publish, set PUBLISHER_API_KEYS",
    );
  }
  let stopped: Promise<void> | undefined;
  const stopOnce = () => (stopped ??= stop());
  return { port, adminPort, stop: stopOnce, [Symbol.asyncDispose]: stopOnce };
}

function publisherCounts({ inFlight, requests }: PublisherMetrics, counters: ClusterCounters) {
  return {
    requestsInFlight: inFlight,
    requestsTotal: requests,
    publicationsTotal: counters.acceptedPublications,
    contentBytesTotal: counters.contentBytes,
  };
}

const STOPPING: Readiness = { ready: false, reason: "stopping" };

function natsReadiness(bus: Bus): Readiness {
  const health = bus.health();
  return health.alive ? { ready: true } : { ready: false, reason: health.reason };
}

function buildApi(parts: Omit<Parameters<typeof createApi>[0], "keys" | "bodies">): Api {
  const { config, metrics } = parts;
  return createApi({ ...parts, keys: new ApiKeys(config.apiKeys), bodies: new JsonBodies(config, metrics) });
}
