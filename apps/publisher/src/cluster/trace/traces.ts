import { type BusSubscription, parseJson } from "@fanwire/bus";
import { announcement } from "@fanwire/protocol";
import type { Failure } from "../failure.ts";
import { Trace, type TraceParts, type TraceReader, type TraceRequest } from "./trace.ts";

/** Maximum traces that are open at the same time on one publisher. */
const MAX_TRACES = 8;

export type OpenedTrace = { readonly ok: true; readonly trace: Trace };

/** The open traces of this publisher. */
export class Traces {
  readonly #parts: TraceParts;
  readonly #open = new Set<Trace>();
  /** Present while a trace is open. */
  #announcements: BusSubscription | undefined;

  constructor(parts: TraceParts) {
    this.#parts = parts;
    parts.bus.onConnection((isConnected) => {
      if (!isConnected) for (const trace of this.#open) trace.onDisconnect();
    });
  }

  /** Opens a trace, which the caller must close. */
  async open(request: TraceRequest, reader: TraceReader): Promise<OpenedTrace | Failure> {
    if (this.#open.size >= MAX_TRACES) return { ok: false, reason: "too-many-traces" };
    const trace = new Trace(this.#parts, request, reader);
    this.#add(trace);
    const started = await trace.start();
    if (started.ok) return { ok: true, trace };
    this.close(trace);
    return started;
  }

  close(trace: Trace): void {
    trace.stop();
    this.#open.delete(trace);
    this.#parts.counters.openTraces = this.#open.size;
    if (this.#open.size > 0) return;
    this.#announcements?.unsubscribe();
    this.#announcements = undefined;
  }

  /** Closes all traces. */
  stop(): void {
    for (const trace of this.#open) this.close(trace);
  }

  #add(trace: Trace): void {
    const { bus, subjects, counters } = this.#parts;
    this.#open.add(trace);
    counters.openTraces = this.#open.size;
    // A worker announces itself before it accepts connections.
    this.#announcements ??= bus.subscribe(subjects.announcements, (message) => {
      const { data } = announcement.safeParse(parseJson(message));
      if (data === undefined) return;
      for (const trace of this.#open) {
        if (data.state === "here") trace.onNewWorker();
        else trace.onEndedWorker(data.worker);
      }
    });
  }
}
