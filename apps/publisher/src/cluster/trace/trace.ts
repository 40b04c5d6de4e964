import type { Bus, BusMessage, History } from "@fanwire/bus";
import {
  parseConnectionAddress,
  reportedKinds,
  type Subjects,
  type TracedEvent,
  type TraceFilter,
  type TraceKind,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { ClusterCounters } from "../counters.ts";
import type { Failure } from "../failure.ts";
import { BoundedSubscription } from "./bounded-subscription.ts";
import { Positions } from "./positions.ts";
import { Skipped } from "./skipped.ts";
import { TraceReports } from "./trace-reports.ts";
import { tracePublication } from "./traced-publication.ts";

const SECOND_MS = 1_000;
/** Interval of the requests that keep workers reporting, in seconds. */
const RENEW_EVERY = 3;
/** Maximum publications of one trace in a second, and bytes of their content. */
const PUBLICATIONS = { messages: 200, bytes: 1_048_576 };
/** Maximum events of all workers that one trace shows in a second. */
const MAX_EVENTS = 200;

/** Where a trace is written. */
export interface TraceReader {
  /** Returns whether there was room for the event. Without room nothing is written. */
  write(event: TraceKind | "skipped", data: string): boolean;
  end(): void;
}

export type TraceRequest = { readonly filter: TraceFilter; readonly kinds: ReadonlySet<TraceKind> };

export type TraceParts = {
  readonly bus: Bus;
  readonly history: Pick<History, "epoch" | "state">;
  readonly subjects: Subjects;
  readonly counters: ClusterCounters;
  readonly log: Log;
};

/** Shows one reader what happens in the cluster, within bounds. */
export class Trace {
  readonly reader: TraceReader;
  readonly #parts: TraceParts;
  readonly #publications: BoundedSubscription | undefined;
  readonly #reports: TraceReports | undefined;
  readonly #positions: Positions;
  readonly #skipped = new Skipped();
  #timer: NodeJS.Timeout | undefined;
  #seconds = 0;
  #eventsLeft = MAX_EVENTS;
  #isStarted = false;
  #isStopped = false;

  constructor(parts: TraceParts, { filter, kinds }: TraceRequest, reader: TraceReader) {
    this.#parts = parts;
    this.reader = reader;
    this.#positions = new Positions(parts.history);
    const reported = reportedKinds.filter((kind) => kinds.has(kind));
    if (kinds.has("publication")) {
      this.#publications = new BoundedSubscription({
        ...parts,
        subjects: publicationSubjects(parts.subjects, filter),
        bounds: PUBLICATIONS,
        receive: (message) => this.#onPublication(message),
      });
    }
    if (reported.length > 0) {
      this.#reports = new TraceReports({
        ...parts,
        filter,
        kinds: reported,
        receive: (event) => this.#onEvent(event),
        missed: (events) => this.#skip("events", events),
      });
    }
  }

  /** Resolves when everything that happens from now on is shown. */
  async start(): Promise<{ readonly ok: true } | Failure> {
    const { bus } = this.#parts;
    if (!bus.health().alive) return { ok: false, reason: "unavailable" };
    this.#publications?.start();
    if (this.#publications !== undefined) void this.#positions.refresh();
    const reports = this.#reports?.start();
    const isConfirmed = await bus.confirm();
    const reporting = (await reports) ?? { ok: true };
    if (!reporting.ok) return reporting;
    if (!isConfirmed) return { ok: false, reason: "unavailable" };
    if (!this.#isStopped) this.#timer = setInterval(() => this.#onSecond(), SECOND_MS);
    this.#isStarted = true;
    return { ok: true };
  }

  /** Must be called when a worker has started, so that it reports to the trace too. */
  onNewWorker(): void {
    if (this.#isStarted) void this.#reports?.renew();
  }

  onEndedWorker(worker: string): void {
    this.#reports?.ended(worker);
  }

  /** Must be called when the connection to NATS was lost, because messages may be lost with it. */
  onDisconnect(): void {
    if (this.#publications !== undefined) this.#skip("publications", null);
    if (this.#reports !== undefined) this.#skip("events", null);
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#publications?.stop();
    this.#reports?.stop();
    this.reader.end();
  }

  #onPublication(message: BusMessage): void {
    if (!this.#isStarted) return;
    const { subjects } = this.#parts;
    const at = new Date().toISOString();
    const positionOf = (sequence: number) => this.#positions.of(sequence);
    const publication = tracePublication(message, { subjects, at, positionOf });
    if (publication !== undefined) this.#show("publication", publication, "publications");
  }

  #onEvent([kind, event]: TracedEvent): void {
    if (!this.#isStarted) return;
    if (this.#eventsLeft === 0) {
      this.#skip("events", 1);
      return;
    }
    this.#eventsLeft--;
    this.#show(kind, event, "events");
  }

  #show(kind: TraceKind, event: object, countedAs: "publications" | "events"): void {
    if (this.reader.write(kind, JSON.stringify(event))) this.#parts.counters.tracedEvents++;
    else this.#skip(countedAs, 1);
  }

  #skip(kind: "publications" | "events", count: number | null): void {
    if (!this.#isStarted) return;
    this.#skipped.add(kind, count);
    this.#parts.counters.untracedEvents += count ?? 0;
  }

  #onSecond(): void {
    this.#seconds++;
    this.#eventsLeft = MAX_EVENTS;
    if (this.#publications?.nextSecond()) {
      this.#skip("publications", null);
      this.#parts.counters.tracePauses++;
    }
    void this.#positions.refresh();
    if (this.#seconds % RENEW_EVERY === 0) void this.#reports?.renew();
    if (this.#skipped.isEmpty) return;
    if (this.reader.write("skipped", JSON.stringify(this.#skipped.counts))) this.#skipped.clear();
  }
}

/** Returns the subjects of the publications that a filter selects. */
export function publicationSubjects(subjects: Subjects, { topic, user, connection }: TraceFilter): string[] {
  const address = connection === undefined ? undefined : parseConnectionAddress(connection);
  const selected = [
    ...(topic === undefined ? [] : [subjects.liveTopics(topic)]),
    ...(user === undefined ? [] : [subjects.live({ kind: "user", user })]),
    ...(address === undefined ? [] : [subjects.live({ kind: "connection", connection: address })]),
  ];
  return selected.length > 0 ? selected : [subjects.allLive];
}
