import { type ChildProcess, fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Readiness } from "@fanwire/service";
import type { AwakeClock } from "../connections/awake-clock.ts";
import type { FromWorker, MetricSnapshot, ToWorker } from "./worker-messages.ts";

/** A worker without a heartbeat for this time is not ready, because it may hold connections that it cannot serve. */
const SILENT_AFTER_MS = 5_000;
const METRICS_TIMEOUT_MS = 2_000;

/** It has the extension of this file: `.ts` from source, `.js` when built. */
const ENTRY = fileURLToPath(new URL(`../worker-main${extname(import.meta.url)}`, import.meta.url));

/** One worker process, seen from the supervisor. */
export class WorkerProcess {
  readonly startedAt = performance.now();
  /** Resolves when the worker listens; rejects if it exits before. */
  readonly listening: Promise<void>;
  /** Resolves with the exit code or signal when the process has ended. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;

  readonly #child: ChildProcess;
  readonly #clock: AwakeClock;
  readonly #pendingMetrics = new Map<number, (metrics: MetricSnapshot) => void>();
  #lastRequestId = 0;
  #lastMessageAt: number;
  #readiness: Readiness | undefined;

  constructor(slot: number, port: number, clock: AwakeClock) {
    this.#clock = clock;
    this.#lastMessageAt = clock.now();
    this.#child = fork(ENTRY, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve({ code, signal }));
      this.#child.once("error", () => resolve({ code: null, signal: null }));
    });
    this.listening = new Promise((resolve, reject) => {
      this.#child.on("message", (message: FromWorker) => this.#onMessage(message, resolve));
      void this.exited.then(({ code, signal }) =>
        reject(new Error(`worker exited before it was listening (code ${code}, signal ${signal})`)),
      );
    });
    // Prevents an unhandled rejection when nobody awaits `listening`.
    this.listening.catch(() => {});
    void this.exited.then(() => {
      this.#readiness = undefined;
    });
    this.#send({ type: "start", slot, port });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Undefined before the worker listens and after it has ended. */
  readiness(): Readiness | undefined {
    if (this.#readiness === undefined) return undefined;
    return this.silentForMs() > SILENT_AFTER_MS ? { ready: false, reason: "worker does not respond" } : this.#readiness;
  }

  /**
   * Returns the milliseconds since the last message. Those in which the supervisor itself was stopped do not count: its
   * timers may run before it reads what arrived meanwhile.
   */
  silentForMs(): number {
    return this.#clock.now() - this.#lastMessageAt;
  }

  /** Returns no metrics when the worker does not answer in time. */
  metrics(): Promise<MetricSnapshot> {
    this.#lastRequestId++;
    const requestId = this.#lastRequestId;
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle([]), METRICS_TIMEOUT_MS);
      const settle = (metrics: MetricSnapshot) => {
        clearTimeout(timer);
        this.#pendingMetrics.delete(requestId);
        resolve(metrics);
      };
      this.#pendingMetrics.set(requestId, settle);
      this.#send({ type: "report-metrics", requestId });
    });
  }

  /** Asks the worker to drain and exit. */
  stop(): void {
    this.#send({ type: "stop" });
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #onMessage(message: FromWorker, onListening: () => void): void {
    this.#lastMessageAt = this.#clock.now();
    switch (message.type) {
      case "listening":
        this.#readiness = { ready: true };
        onListening();
        return;
      case "heartbeat":
        this.#readiness = message.readiness;
        return;
      case "metrics":
        this.#pendingMetrics.get(message.requestId)?.(message.metrics);
    }
  }

  #send(message: ToWorker): void {
    // The channel of an exiting worker closes before its exit is reported. The exit is handled then.
    if (this.#child.connected) this.#child.send(message, () => {});
  }
}
