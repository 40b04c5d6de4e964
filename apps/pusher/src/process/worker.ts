import { randomInt } from "node:crypto";
import { openJetStreamHistory, startNatsBus } from "@fanwire/bus";
import { Subjects, workerIdFrom } from "@fanwire/protocol";
import type { Log, Readiness, Running } from "@fanwire/service";
import { createTokenVerifier } from "@fanwire/tokens";
import type { Registry } from "prom-client";
import type { PusherConfig } from "../config.ts";
import { AwakeClock } from "../connections/awake-clock.ts";
import { ClientAddresses } from "../connections/client-address.ts";
import type { Connection } from "../connections/connection.ts";
import { Connections } from "../connections/connections.ts";
import { newCounters } from "../connections/counters.ts";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { startControl } from "../control/control-api.ts";
import { Lists } from "../control/lists.ts";
import { EventReporter } from "../events/event-reporter.ts";
import { Traces } from "../events/traces.ts";
import { ProtocolGroups } from "../fanout/subscriber-groups.ts";
import { Hub } from "../hub/hub.ts";
import { TimeSlices } from "../pacing/time-slices.ts";
import { clientProtocols } from "../protocols/client-protocols.ts";
import { openClientScript } from "../protocols/client-script.ts";
import { Handshakes } from "../protocols/handshake.ts";
import { openProtocols } from "../protocols/open-protocols.ts";
import type { ServedProtocol } from "../protocols/served-protocol.ts";
import { UwsApp } from "../protocols/uws-app.ts";
import { Recovery } from "../recovery/recovery.ts";
import type { TlsFiles } from "../tls/certificate.ts";
import { CertificateWatch } from "../tls/certificate-watch.ts";
import { readServedCertificate } from "../tls/tls-settings.ts";
import { WorkerDescriber } from "./describe-worker.ts";
import { createWorkerMetrics } from "./metrics.ts";
import { withinOpenFilesLimit } from "./open-files.ts";
import { registerTlsMetrics } from "./tls-metrics.ts";

export type Worker = Running & {
  readonly metrics: Registry;
  readiness(): Readiness;
};

/** Maximum bytes of replays, backlogs and waiting content together. */
const BUFFER_BYTES = 134_217_728;

/** Starts a worker: connects to NATS, then opens the port. `slot` identifies it among the workers of one supervisor. */
export async function startWorker(options: {
  readonly config: PusherConfig;
  readonly slot: number;
  readonly port: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly protocols?: readonly ServedProtocol[];
}): Promise<Worker> {
  const { slot, port, signal, protocols = clientProtocols } = options;
  const workerId = workerIdFrom(() => randomInt(2 ** 32) / 2 ** 32);
  const log = options.log.child({ workerId, slot });
  const config = withinOpenFilesLimit(options.config, log);

  const { tlsFiles } = config;
  const certificate = tlsFiles && (await readServedCertificate(tlsFiles));
  const bus = await startNatsBus({ config: config.bus, name: `fanwire-pusher ${workerId}`, log, signal });
  const subjects = new Subjects(config.bus.prefix);
  const counters = newCounters();
  // Requests, commands, new sessions and replays share the slices, so that a stampede takes one slice of each tick.
  const slices = new TimeSlices();
  const uwsApp = new UwsApp(certificate?.files, slices);
  const clock = new AwakeClock();
  const connections = new Connections<Connection>();
  const groups = new ProtocolGroups(protocols, uwsApp.topics, connections);
  const budget = new MemoryBudget(BUFFER_BYTES);
  const history = await openJetStreamHistory({ bus, subjects, config: config.historyLimits, log });
  const { events: wanted } = config;
  const events = wanted.size === 0 ? undefined : new EventReporter({ bus, subjects, workerId, wanted });
  const traces = new Traces({ bus, subjects, workerId, log });
  const hub = new Hub({
    config,
    workerId,
    bus,
    subjects,
    counters,
    protocols,
    connections,
    groups,
    history,
    budget,
    events,
    traces,
    log,
  });
  const lists = new Lists({ workerId, connections, hub });
  const unsentLimit = config.limits.unsentBytes;
  const { frontier } = hub;
  const recovery = new Recovery({
    bus,
    history,
    subjects,
    hub,
    budget,
    workerId,
    unsentLimit,
    counters,
    log,
    slices,
    traces,
  });
  const verifier = createTokenVerifier(config.tokens, { log });
  const handshakes = new Handshakes({
    hub,
    verifier,
    maxTopics: config.limits.topics,
    maxConnections: config.limits.connections,
    counters,
    slices,
  });
  openClientScript(uwsApp, log);
  const opened = openProtocols(uwsApp, protocols, {
    config,
    workerId,
    bus,
    subjects,
    hub,
    recovery,
    addresses: new ClientAddresses(config.trustedProxies),
    handshakes,
    verifier,
    counters,
    clock,
    history,
    slices,
    log,
  });
  // Must come after the routes, because publications arrive meanwhile and uWebSockets.js publishes only with a
  // WebSocket route.
  await frontier.ready();

  const describer = new WorkerDescriber({ workerId, bus, hub, lists, counters });
  const control = startControl({
    bus,
    subjects,
    workerId,
    hub,
    lists,
    log,
    describeWorker: () => describer.describe(),
    describeDetails: () => describer.details(),
  });
  await uwsApp.listen(config.host, port, config.pusherApps.all.length > 0).catch(async (error: unknown) => {
    describer.stop();
    await control.stop();
    await bus.stop();
    throw error;
  });
  log.info({ host: config.host, port }, "worker listening");
  const serve = (files: TlsFiles) => uwsApp.renew(files);
  const watch = tlsFiles && certificate && new CertificateWatch({ files: tlsFiles, served: certificate, log, serve });
  const maxConnections = config.limits.connections;
  const metrics = createWorkerMetrics({ slot, counters, bus, hub, lists, budget, traces, maxConnections });
  if (watch !== undefined) registerTlsMetrics(metrics, watch);

  const stop = async () => {
    log.info({ connections: hub.openConnections, drainMs: config.drainMs }, "worker draining");
    describer.stop();
    watch?.stop();
    uwsApp.closePort();
    await hub.drain(config.drainMs);
    opened.stop();
    clock.stop();
    recovery.stop();
    frontier.stop();
    history.stop();
    uwsApp.close();
    hub.presence.stop();
    await events?.stop();
    traces.stop();
    await control.stop();
    await bus.stop();
  };
  let stopped: Promise<void> | undefined;

  return {
    metrics,
    readiness: () => {
      if (hub.isDraining) return { ready: false, reason: "draining" };
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
