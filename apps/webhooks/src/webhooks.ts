import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { answerServiceRequests, Journal, type JournalConfig, NatsBus } from "@fanwire/bus";
import { Subjects, workerIdFrom } from "@fanwire/protocol";
import { type Log, type Readiness, type Running, startAdmin } from "@fanwire/service";
import type { WebhooksConfig } from "./config.ts";
import { type Counters, newCounters } from "./counters.ts";
import { Leader } from "./leader/leader.ts";
import { type Lease, takeLease } from "./leader/lease.ts";
import type { LeaderParts } from "./leader/load-leader.ts";
import { createWebhooksMetrics } from "./metrics.ts";

export type WebhookSender = Running & AsyncDisposable & { readonly adminPort: number };

const DAY_MS = 86_400_000;
const MAX_EVENT_BYTES = 268_435_456;
const RETRY_MS = 1_000;
/** A replica that has seen another one lead within this time is ready. Longer than a takeover takes. */
const SEEN_MS = 10_000;

/** Starts a webhook sender. It leads, or waits until the leader ends. */
export async function startWebhooks(config: WebhooksConfig, log: Log, signal: AbortSignal): Promise<WebhookSender> {
  const stopping = new AbortController();
  const ended = AbortSignal.any([signal, stopping.signal]);
  const bus = new NatsBus({ config: config.bus, name: "fanwire webhooks", log });
  const counters = newCounters();
  const replica = new Replica({ config, log, bus, counters });
  const subjects = new Subjects(config.bus.prefix);
  answerServiceRequests({ bus, subjects, kind: "webhooks", counts: () => webhooksCounts(counters, replica.leader) });
  const metrics = createWebhooksMetrics(counters, bus, () => replica.leader);
  const readiness = (): Readiness => {
    if (ended.aborted) return { ready: false, reason: "stopping" };
    const health = bus.health();
    return health.alive ? replica.readiness() : { ready: false, reason: health.reason };
  };
  const source = { readiness, metrics: () => metrics.metrics() };
  const admin = await startAdmin({ host: config.adminHost, port: config.adminPort, source, log });
  const running = bus.connect(ended).then(
    () => replica.run(ended),
    // Rejects only when the process stops before NATS was reached.
    () => {},
  );
  log.info({ adminPort: admin.port, endpoints: config.endpoints.length }, "webhook sender started");

  const stop = async () => {
    stopping.abort();
    await running;
    await bus.stop();
    await admin.stop();
  };
  let stopped: Promise<void> | undefined;
  const stopOnce = () => (stopped ??= stop());
  return { adminPort: admin.port, stop: stopOnce, [Symbol.asyncDispose]: stopOnce };
}

function webhooksCounts({ events, deliveries }: Counters, leader: Leader | undefined) {
  const all = [...deliveries.values()];
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    leads: leader === undefined ? 0 : 1,
    workers: leader?.workers ?? 0,
    unstoredEvents: leader?.unstoredEvents ?? 0,
    waitingEvents: sum(leader?.senders.all.map(({ waiting }) => waiting) ?? []),
    eventsTotal: sum(Object.values(events)),
    deliveredTotal: sum(all.map(({ delivered }) => delivered)),
    failedTotal: sum(all.map(({ failed }) => failed)),
    deadTotal: sum(all.map(({ dead }) => dead)),
  };
}

type ReplicaParts = {
  readonly config: WebhooksConfig;
  readonly log: Log;
  readonly bus: NatsBus;
  readonly counters: Counters;
};

/** One of several webhook senders: leads, or waits for its turn. */
class Replica {
  leader: Leader | undefined;
  readonly #parts: LeaderParts;
  /** Time at which the lease of another replica was last seen. */
  #seenOtherAt = Number.NEGATIVE_INFINITY;
  #problem = "no leader yet";

  constructor({ config, log, bus, counters }: ReplicaParts) {
    const subjects = new Subjects(config.bus.prefix);
    const { replicas } = config;
    const events = new Journal(bus, eventStream(subjects, replicas), log);
    const journal = new Journal(bus, recordStream(subjects, replicas), log);
    this.#parts = { bus, subjects, events, journal, config, counters, log };
    bus.onConnection((isConnected) => isConnected && this.leader?.onReconnect());
  }

  readiness(): Readiness {
    if (this.leader !== undefined || performance.now() - this.#seenOtherAt < SEEN_MS) return { ready: true };
    return { ready: false, reason: this.#problem };
  }

  /** Resolves when the signal aborts and everything is finished. */
  async run(ended: AbortSignal): Promise<void> {
    const { journal, events, log } = this.#parts;
    while (!ended.aborted) {
      try {
        await journal.open();
        await events.open();
        await this.#leadOnce(ended);
      } catch (error) {
        if (ended.aborted) return;
        this.#problem = error instanceof Error ? error.message : String(error);
        log.warn({ err: error }, "webhook sender cannot lead, retrying");
        await delay(RETRY_MS, undefined, { signal: ended }).catch(() => {});
      }
    }
  }

  async #leadOnce(ended: AbortSignal): Promise<void> {
    const { journal, subjects } = this.#parts;
    const id = workerIdFrom(() => randomInt(2 ** 32) / 2 ** 32);
    const subject = subjects.webhookRecord("leader");
    const lease = await takeLease({ journal, subject, holder: id }, ended, () => {
      this.#seenOtherAt = performance.now();
    });
    try {
      await this.#lead(id, lease, ended);
    } finally {
      lease.abandon();
    }
  }

  async #lead(id: string, lease: Lease, ended: AbortSignal): Promise<void> {
    const { log } = this.#parts;
    let fail: (error: unknown) => void = () => {};
    const failed = new Promise<unknown>((resolve) => {
      fail = resolve;
    });
    const leader = await Leader.start({ id, lease, parts: this.#parts, fail });
    this.leader = leader;
    log.info({ leader: id }, "this webhook sender leads");
    const aborted = new Promise<void>((resolve) => {
      if (ended.aborted) resolve();
      ended.addEventListener("abort", () => resolve(), { once: true });
    });
    const error = await Promise.race([
      failed.then((cause) => cause ?? new Error("failed")),
      lease.lost.then(() => new Error("lease lost")),
      aborted,
    ]);
    this.leader = undefined;
    if (error === undefined) {
      await leader.stop();
      await lease.release();
      return;
    }
    await leader.abandon();
    // Otherwise the next leader would have to wait for the end of the lease.
    await lease.release();
    throw error;
  }
}

function eventStream(subjects: Subjects, replicas: number): JournalConfig {
  return {
    stream: subjects.eventStream,
    subjects: subjects.allStoredEvents,
    republishTo: subjects.allEvents,
    maxAgeMs: DAY_MS,
    maxBytes: MAX_EVENT_BYTES,
    maxPerSubject: -1,
    replicas,
  };
}

/** Keeps one message of each subject. */
function recordStream(subjects: Subjects, replicas: number): JournalConfig {
  return {
    stream: subjects.webhookStream,
    subjects: subjects.allWebhookRecords,
    maxAgeMs: 0,
    maxBytes: -1,
    maxPerSubject: 1,
    replicas,
  };
}
