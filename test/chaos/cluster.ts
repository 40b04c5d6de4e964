import { describeWorkers } from "../support/bus.ts";
import {
  startChannel,
  startPublisher,
  startPusher,
  type TestChannel,
  type TestPublisher,
  type TestPusher,
} from "../support/cluster.ts";
import { openPublications, type TestPublications, topic } from "../support/durable.ts";
import { freePorts } from "../support/free-ports.ts";
import { createShiftedClock, type ShiftedClock } from "./clock.ts";
import { type ChaosNats, startChaosNats } from "./nats-nodes.ts";
import { Part, type Service } from "./service-process.ts";

export const TOKEN_SECRET = "of nobody, for nothing but this chaos test";

/** Large enough that the history drops nothing before the slowest reader has received it. */
const HISTORY_LIMITS = { maxAgeSeconds: 86_400, maxPerSubject: 1_000_000, maxBytes: 64 * 1_048_576, replicas: 3 };
const HISTORY_ENV = {
  FANWIRE_HISTORY_MAX_PER_SUBJECT: String(HISTORY_LIMITS.maxPerSubject),
  FANWIRE_HISTORY_MAX_BYTES: String(HISTORY_LIMITS.maxBytes),
  FANWIRE_HISTORY_MAX_AGE_SECONDS: String(HISTORY_LIMITS.maxAgeSeconds),
  FANWIRE_HISTORY_REPLICAS: String(HISTORY_LIMITS.replicas),
  // At this level pushers log what they read again from the history, which the post-mortem prints.
  FANWIRE_LOG_LEVEL: "debug",
};

export type ChaosCluster = AsyncDisposable & {
  readonly nats: ChaosNats;
  readonly clock: ShiftedClock;
  readonly pushers: readonly Part<TestPusher>[];
  readonly publishers: readonly Part<TestPublisher>[];
  readonly channels: readonly Part<TestChannel>[];
  readonly parts: readonly Part[];
  /** The suite's own connection to the history. */
  readonly history: TestPublications;
};

export async function startChaosCluster(): Promise<ChaosCluster> {
  const nats = await startChaosNats();
  const clock = await createShiftedClock();
  const history = await openPublications(nats.directUrls, HISTORY_LIMITS);
  const parts: Part[] = [];
  const dispose = async () => {
    await history.bus.stop();
    await Promise.all(parts.map((part) => part[Symbol.asyncDispose]()));
    await nats[Symbol.asyncDispose]();
    await clock[Symbol.asyncDispose]();
  };
  /** Two of each kind. */
  const start = async <Kind extends Service>(kind: string, startOne: () => Promise<Kind>): Promise<Part<Kind>[]> => {
    const starting = [1, 2].map((number) => Part.start(`${kind} ${number}`, startOne));
    // Waits for both starts, because a service that runs must be ended although the other failed.
    for (const started of await Promise.allSettled(starting))
      if (started.status === "fulfilled") parts.push(started.value);
    return Promise.all(starting);
  };
  try {
    await history.append(topic("first"), "creates the history");
    const options = { nats: nats.urls, env: HISTORY_ENV };
    const pusherEnv = { ...HISTORY_ENV, ...clock.env, PUSHER_TOKEN_SECRET: TOKEN_SECRET, PUSHER_DRAIN_SECONDS: "2" };
    const pushers = await start("pusher", async () => {
      const [port = 0] = await freePorts(1);
      return startPusher({ nats: nats.urls, env: { ...pusherEnv, PUSHER_PORT: String(port) } });
    });
    const publishers = await start("publisher", () => startPublisher(options));
    const channels = await start("channel", () => startChannel({ nats: nats.urls }));
    return { nats, clock, pushers, publishers, channels, parts, history, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

export type RunningWorker = { readonly id: string; readonly pid: number };

/** Ids of all workers that the pusher has had, including those that ended. */
export function workerIdsOf({ service }: Part<TestPusher>): string[] {
  const own = service.process.logLines().filter(({ msg }) => msg === "worker listening");
  return own.map(({ workerId }) => String(workerId));
}

/** Number of connections of all workers that answer. */
export async function connectionsOf({ history }: ChaosCluster): Promise<number> {
  return (await describeWorkers(history.bus)).reduce((sum, { connections }) => sum + connections, 0);
}

/** The workers that answer. On a loaded machine some may not answer in time. */
export async function workersOf({ history }: ChaosCluster, pusher: Part<TestPusher>): Promise<RunningWorker[]> {
  const ids = new Set(workerIdsOf(pusher));
  return (await describeWorkers(history.bus)).filter(({ id }) => ids.has(id));
}
