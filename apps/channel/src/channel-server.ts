import { answerServiceRequests, JetStreamWorkQueue, NatsBus } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import {
  type Admin,
  deadlineSignal,
  isLoopback,
  type Log,
  type Readiness,
  type Running,
  startAdmin,
} from "@fanwire/service";
import { createBroker } from "./broker/broker.ts";
import { type Counters, newCounters } from "./broker/counters.ts";
import type { ChannelConfig } from "./config.ts";
import { Pace } from "./data/pace.ts";
import { createChannelMetrics, type Measures } from "./metrics.ts";
import { BufferBudget } from "./server/buffer-budget.ts";
import { FlushScheduler } from "./server/flush-scheduler.ts";
import { type Listeners, startListeners } from "./server/listeners.ts";
import type { Peer } from "./server/peer.ts";
import { Peers } from "./server/peers.ts";
import { RequestScheduler } from "./server/request-scheduler.ts";

export type ChannelServer = Running &
  AsyncDisposable & {
    /** `undefined` without TCP. */
    readonly port: number | undefined;
    readonly adminPort: number;
  };

/**
 * Starts a channel server. It accepts peers at once. Until NATS is connected, its own peers receive each other's
 * events, as with the original.
 *
 * @throws when an address cannot be bound or the NATS credentials cannot be read.
 */
export async function startChannel(config: ChannelConfig, log: Log, signal: AbortSignal): Promise<ChannelServer> {
  const stopping = new AbortController();
  const server = createServer(config, log);
  // Rejects only when the server stops before NATS was reached.
  server.connect(AbortSignal.any([signal, stopping.signal])).catch(() => {});
  const running: { admin?: Admin; listeners?: Listeners } = {};

  const stop = async () => {
    stopping.abort();
    log.info({ peers: server.peers.count, drainMs: config.drainMs }, "draining");
    running.listeners?.stop();
    await server.drain(deadlineSignal(config.drainMs));
    await server.bus.stop();
    await running.admin?.stop();
  };
  try {
    const readiness = (): Readiness => {
      if (stopping.signal.aborted) return { ready: false, reason: "draining" };
      const health = server.bus.health();
      return health.alive ? { ready: true } : { ready: false, reason: health.reason };
    };
    const source = { readiness, metrics: () => server.metrics.metrics() };
    running.admin = await startAdmin({ host: config.adminHost, port: config.adminPort, source, log });
    running.listeners = await startListeners(config, log, (socket, isUnix) => server.peers.accept(socket, isUnix));
  } catch (error) {
    await stop();
    throw error;
  }

  const { port } = running.listeners;
  const adminPort = running.admin.port;
  log.info({ host: config.tcp?.host, port, socketPath: config.socketPath, adminPort }, "channel server listening");
  if (config.tcp !== undefined && config.allowedNetworks === undefined && !isLoopback(config.tcp.host)) {
    log.warn({ host: config.tcp.host }, "peers from any network are accepted: set CHANNEL_ALLOWED_NETWORKS");
  }
  let stopped: Promise<void> | undefined;
  const stopOnce = () => (stopped ??= stop());
  return { port, adminPort, stop: stopOnce, [Symbol.asyncDispose]: stopOnce };
}

/** Creates all parts between the peers' sockets and NATS. */
function createServer(config: ChannelConfig, log: Log) {
  const { limits } = config;
  const bus = new NatsBus({ config: config.bus, name: "fanwire channel", log });
  const subjects = new Subjects(config.bus.prefix);
  const counters = newCounters();
  const onFree = () => requestScheduler.resume();
  const flushScheduler: FlushScheduler = new FlushScheduler(() => {
    budget.checkOutbound();
    peers.closeLargest();
  });
  const budget = new BufferBudget({
    maxBytes: limits.bufferedBytes,
    batchBytes: () => flushScheduler.batches.bytes,
    onOutboundLow: onFree,
    onWaiting: (isHigh) => peers.setReading(!isHigh),
  });
  const isFlushBehind = () => flushScheduler.isBehind;
  const closePace = new Pace();
  const common = { config, counters, log, budget, closePace };
  const broker = createBroker({ ...common, bus, subjects, isFlushBehind, onFree });
  const { dispatcher, flowControl, queues, pendingItems, deliveries, slowPeers } = broker;
  const requestScheduler = new RequestScheduler({ dispatcher, flowControl, counters, log });
  const onClosed = (peer: Peer) => dispatcher.onClosed(peer);
  const peers = new Peers({ ...common, requestScheduler, flushScheduler, slowPeers, onClosed });

  const measure = () => ({
    ...peers.heldBytes,
    ...broker.measures(),
    peers: peers.count,
    waitingPeers: requestScheduler.waitingCount,
    bufferedBytes: budget.usedBytes,
    waitingFrames: budget.waitingFrames,
  });
  const metrics = createChannelMetrics(counters, bus, limits, measure);
  answerServiceRequests({ bus, subjects, kind: "channel", counts: () => channelCounts(counters, measure()) });

  const connect = async (signal: AbortSignal) => {
    await bus.connect(signal);
    warnOfSmallPayload(bus, limits.frameBytes, log);
    const { channelQueueStream: stream, channelQueues } = subjects;
    queues.start(new JetStreamWorkQueue(bus, { stream, subjects: channelQueues, ...config.queues, maxAgeMs: 0 }, log));
  };

  /** Processes what was read from peers, delivers the results, and ends the connections. */
  const drain = async (signal: AbortSignal) => {
    peers.stopReading();
    await requestScheduler.waitUntilIdle(signal);
    queues.stop();
    await pendingItems.stop(signal);
    deliveries.finish();
    // NATS confirms after it has sent us the events that our own peers published for each other.
    await bus.confirm();
    deliveries.finish();
    await peers.end(signal);
  };
  return { bus, peers, metrics, connect, drain };
}

function channelCounts(counters: Counters, measured: Measures) {
  const { peers, channels, queues, slowPeers, bufferedBytes, unstoredItems } = measured;
  return {
    ...{ peers, channels, queues, slowPeers, bufferedBytes, unstoredItems },
    requestsTotal: Object.values(counters.requests).reduce((sum, count) => sum + count, 0),
    deliveriesTotal: counters.deliveries,
    itemsDeliveredTotal: counters.items.delivered,
  };
}

/** Bytes that a queue item or event takes in NATS beside its content, such as the header with the item's id. */
const MESSAGE_HEADER_BYTES = 1_024;

/** Warns now and after each connect if NATS accepts smaller messages than peers may send. */
function warnOfSmallPayload(bus: NatsBus, maxFrameBytes: number, log: Log): void {
  const check = () => {
    const maxPayloadBytes = bus.maxPayloadBytes();
    if (maxPayloadBytes >= maxFrameBytes + MESSAGE_HEADER_BYTES) return;
    log.warn(
      { maxPayloadBytes, maxFrameBytes },
      "max_payload of NATS is below CHANNEL_MAX_FRAME_BYTES: larger events reach peers of this server only, larger queue items are dropped",
    );
  };
  check();
  bus.onConnection((isConnected) => isConnected && check());
}
