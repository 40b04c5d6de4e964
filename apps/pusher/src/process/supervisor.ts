import { addCounter, addGauge, createRegistry, type Log, type Readiness, type Running } from "@fanwire/service";
import { AggregatorRegistry, type Registry } from "prom-client";
import type { PusherConfig } from "../config.ts";
import { AwakeClock } from "../connections/awake-clock.ts";
import { RestartBackoff } from "./restart-backoff.ts";
import { WorkerProcess } from "./worker-process.ts";

/** A worker without a heartbeat for this time is killed. */
const HUNG_AFTER_MS = 20_000;
const CHECK_MS = 1_000;
/** Maximum time of a worker's exit beyond its drain. */
const STOP_GRACE_MS = 5_000;

type Slot = {
  readonly number: number;
  readonly backoff: RestartBackoff;
  worker: WorkerProcess;
  restartTimer: NodeJS.Timeout | undefined;
};

/** Runs worker processes that share one port, and restarts those that end. */
export class Supervisor implements Running {
  readonly #config: PusherConfig;
  readonly #log: Log;
  readonly #slots: Slot[] = [];
  readonly #clock = new AwakeClock();
  readonly #registry = createRegistry();
  #restarts = 0;
  #isStopping = false;
  #hungTimer: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;

  constructor(config: PusherConfig, log: Log) {
    this.#config = config;
    this.#log = log;
    this.#registry.setDefaultLabels({ slot: "supervisor" });
    registerSupervisorMetrics(this.#registry, {
      running: () => this.#listeningWorkers().length,
      restarts: () => this.#restarts,
    });
  }

  /** Resolves when every worker listens. Rejects when one exits before that, because an operator must fix its cause. */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.#config.workers }, () => this.#addSlot().worker.listening));
    this.#hungTimer = setInterval(() => this.#killHung(), CHECK_MS);
    for (const slot of this.#slots) this.#restartOnExit(slot);
  }

  readiness(): Readiness {
    if (this.#isStopping) return { ready: false, reason: "draining" };
    const readings = this.#slots.map(({ worker }) => worker.readiness()).filter((reading) => reading !== undefined);
    if (readings.length === 0) return { ready: false, reason: "no worker listening" };
    // Listening workers share the port, so that one that cannot serve would still get its share of new connections.
    return readings.find((reading) => !reading.ready) ?? { ready: true };
  }

  async metrics(): Promise<string> {
    const snapshots = await Promise.all([
      this.#registry.getMetricsAsJSON(),
      ...this.#listeningWorkers().map((worker) => worker.metrics()),
    ]);
    return AggregatorRegistry.aggregate(snapshots).metrics();
  }

  /** Lets every worker drain and exit. Kills those that take too long. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  /** Kills every worker. */
  kill(): void {
    this.#isStopping = true;
    for (const { worker } of this.#slots) worker.kill();
  }

  async #stopAll(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#hungTimer);
    this.#clock.stop();
    for (const slot of this.#slots) {
      clearTimeout(slot.restartTimer);
      slot.worker.stop();
    }
    const timer = setTimeout(() => this.kill(), this.#config.drainMs + STOP_GRACE_MS);
    await Promise.all(this.#slots.map(({ worker }) => worker.exited));
    clearTimeout(timer);
  }

  #addSlot(): Slot {
    const number = this.#slots.length + 1;
    const worker = new WorkerProcess(number, this.#config.port, this.#clock);
    const slot: Slot = { number, backoff: new RestartBackoff(), worker, restartTimer: undefined };
    this.#slots.push(slot);
    return slot;
  }

  #restartOnExit(slot: Slot): void {
    const { worker } = slot;
    void worker.exited.then(({ code, signal }) => {
      if (this.#isStopping) return;
      const delayMs = slot.backoff.delayAfter(performance.now() - worker.startedAt);
      this.#log.error({ slot: slot.number, pid: worker.pid, code, signal, delayMs }, "worker exited, restarting it");
      slot.restartTimer = setTimeout(() => {
        this.#restarts++;
        slot.worker = new WorkerProcess(slot.number, this.#config.port, this.#clock);
        this.#restartOnExit(slot);
      }, delayMs);
    });
  }

  #killHung(): void {
    for (const { number, worker } of this.#slots) {
      if (worker.readiness() === undefined || worker.silentForMs() < HUNG_AFTER_MS) continue;
      this.#log.error({ slot: number, pid: worker.pid, silentForMs: worker.silentForMs() }, "worker hangs, killing it");
      worker.kill();
    }
  }

  #listeningWorkers(): WorkerProcess[] {
    return this.#slots.map(({ worker }) => worker).filter((worker) => worker.readiness() !== undefined);
  }
}

function registerSupervisorMetrics(registry: Registry, source: { running(): number; restarts(): number }): void {
  addGauge(registry, {
    name: "fanwire_pusher_workers",
    help: "Worker processes listening.",
    value: () => source.running(),
  });
  addCounter(registry, {
    name: "fanwire_pusher_worker_restarts_total",
    help: "Restarts of worker processes.",
    value: () => source.restarts(),
  });
}
