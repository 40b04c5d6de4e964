import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@fanwire/service";
import type { Counters, PauseReason } from "../broker/counters.ts";
import type { Dispatcher } from "../broker/dispatcher.ts";
import type { FlowControl } from "../broker/flow-control.ts";
import { Pace } from "../data/pace.ts";
import type { Request } from "../wire/client-message.ts";
import type { DecodedFrames } from "../wire/frames.ts";
import type { Peer } from "./peer.ts";
import type { PendingRequests } from "./pending-requests.ts";

type RequestSchedulerParts = {
  readonly dispatcher: Dispatcher;
  readonly flowControl: FlowControl;
  readonly counters: Counters;
  readonly log: Log;
};

/** `later` means in the next tick, because the slice of this tick is used up. */
type Progress = "done" | "later" | PauseReason;

const IDLE_POLL_MS = 5;
const LONGEST_LOGGED_NAME = 200;

/**
 * Schedules the requests of peers. The requests of one peer run strictly in order, peers take turns, and all of them
 * together take a slice of each tick. A peer whose request waits is not read from, so its waiting requests are bounded
 * by the bytes already read.
 */
export class RequestScheduler {
  readonly #parts: RequestSchedulerParts;
  readonly #pace = new Pace();
  /** Requests of peers that continue in the next tick. */
  readonly #ready = new Set<PendingRequests>();
  /** Requests of peers that wait for {@link resume}. */
  readonly #paused = new Set<PendingRequests>();
  #isTickPlanned = false;
  #hasWarnedOfClass = false;

  constructor(parts: RequestSchedulerParts) {
    this.#parts = parts;
  }

  /** Number of peers with waiting requests. */
  get waitingCount(): number {
    return this.#ready.size + this.#paused.size;
  }

  receive(pending: PendingRequests, { messages, pings, error }: DecodedFrames): void {
    this.#parts.counters.pings += pings;
    pending.error ??= error;
    pending.receive(messages);
    if (!this.isIdle(pending)) return;
    if (this.#pace.isOver()) this.#wait(pending, "later");
    else this.#advance(pending);
  }

  /** Whether all requests of the peer are carried out. */
  isIdle(pending: PendingRequests): boolean {
    return !this.#ready.has(pending) && !this.#paused.has(pending);
  }

  /** Resolves when no request waits, or when `signal` aborts. */
  async waitUntilIdle(signal: AbortSignal): Promise<void> {
    while (this.waitingCount > 0 && !signal.aborted) await delay(IDLE_POLL_MS);
  }

  /** Must be called when a reason to pause has ended. */
  resume(): void {
    if (this.#paused.size === 0) return;
    for (const pending of this.#paused) this.#ready.add(pending);
    this.#paused.clear();
    this.#planTick();
  }

  /** Must be called when the peer is disconnected. Its requests are still processed, unless it was evicted. */
  onClosed(pending: PendingRequests): void {
    if (!this.#paused.delete(pending)) return;
    this.#ready.add(pending);
    this.#planTick();
  }

  #advance(pending: PendingRequests): void {
    const progress = this.#carryOut(pending);
    if (progress === "done") pending.finish();
    else this.#wait(pending, progress);
  }

  #wait(pending: PendingRequests, progress: PauseReason | "later"): void {
    if (progress === "later") {
      this.#ready.add(pending);
      this.#planTick();
    } else {
      this.#paused.add(pending);
      this.#parts.counters.pauses[progress]++;
    }
    pending.wait();
  }

  #planTick(): void {
    if (this.#isTickPlanned) return;
    this.#isTickPlanned = true;
    setImmediate(() => {
      this.#isTickPlanned = false;
      this.#runTick();
    });
  }

  #runTick(): void {
    // Begins the slice, so that it contains the first step.
    this.#pace.isOver();
    let left = this.#ready.size;
    for (const pending of this.#ready) {
      this.#ready.delete(pending);
      this.#advance(pending);
      if (--left === 0 || this.#pace.isOver()) break;
    }
    if (this.#ready.size > 0) this.#planTick();
  }

  #carryOut(pending: PendingRequests): Progress {
    const { dispatcher, flowControl } = this.#parts;
    const { peer } = pending;
    // Requests received before a peer disconnected are processed. Those of an evicted peer are dropped.
    while (!peer.isEvicted) {
      // No message is parsed while its request would wait, because a parsed request takes much more memory.
      const congestion = flowControl.congestion();
      if (congestion !== undefined && pending.hasMore) return congestion;
      const request = pending.request ?? this.#nextRequest(pending);
      if (request === undefined || request === "later") return request ?? "done";
      const name = request.channels[pending.nextName];
      if (name === undefined) {
        pending.endRequest();
        continue;
      }
      const reason = flowControl.pauseReason(request, name);
      if (reason !== undefined) return reason;
      dispatcher.handle(peer, request, name);
      pending.nextName++;
      if (this.#pace.isOverAfter(name.raw.length + request.data.length)) return "later";
    }
    return "done";
  }

  /** Returns the next valid request, or `undefined` without one. */
  #nextRequest(pending: PendingRequests): Request | "later" | undefined {
    const { dispatcher, counters } = this.#parts;
    for (let parsing = pending.parsing; parsing !== undefined; parsing = pending.parsing) {
      const step = parsing.next();
      if (step.done) {
        pending.endParsing();
        const request = step.value;
        if (request.type === "ignored") {
          counters.ignored[request.reason]++;
          if (request.className !== undefined) this.#warnOfClass(pending.peer, request.className);
        } else if (request.type === "hostile") {
          pending.peer.close(request.reason);
          return undefined;
        } else {
          counters.requests[request.type]++;
          pending.begin(request);
          dispatcher.begin(pending.peer, request);
          return this.#pace.isOverAfter(pending.parsingBytes) ? "later" : request;
        }
      }
      if (step.done ? this.#pace.isOverAfter(pending.parsingBytes) : this.#pace.isOver()) return "later";
    }
    return undefined;
  }

  /** Logs the first message that is ignored for its class. A metric counts all of them. */
  #warnOfClass(peer: Peer, className: string): void {
    if (this.#hasWarnedOfClass) return;
    this.#hasWarnedOfClass = true;
    const fields = { peer: peer.id, className: className.slice(0, LONGEST_LOGGED_NAME) };
    this.#parts.log.warn(fields, "message ignored: class not in CHANNEL_ALLOWED_CLASSES");
  }
}
