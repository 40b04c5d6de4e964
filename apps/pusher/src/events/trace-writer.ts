import type { Bus } from "@fanwire/bus";
import { isTraced, type ReportedKind, type TraceLease, type TraceSubject } from "@fanwire/protocol";

/** Maximum events that one trace receives from this worker in a second. */
const MAX_EVENTS = 100;
/** Maximum bytes of these events in a second. */
const MAX_BYTES = 262_144;
/** Maximum topics that the filter of one trace is compared with in a second, so that a stampede costs milliseconds. */
const MAX_COMPARISONS = 5_000;
/** Maximum bytes of a report, if NATS accepts that much. */
const MAX_REPORT_BYTES = 65_536;
/** Share of `max_payload` for the events of a report. */
const MAX_PAYLOAD_SHARE = 0.75;

type WriterParts = {
  readonly bus: Pick<Bus, "send" | "maxPayloadBytes">;
  readonly workerId: string;
  /** Where the reports go. */
  readonly subject: string;
  /** Called with the number of events that NATS took. */
  onSent(events: number): void;
  /** Called with the number of events that are left out. */
  onSkip(events: number): void;
};

/** Reports to one trace what happens on this worker, within bounds for each second. Counts what exceeds them. */
export class TraceWriter {
  readonly #parts: WriterParts;
  #lease: TraceLease;
  #expiresAt: number;
  #events: string[] = [];
  #bytes = 0;
  #eventsLeft = MAX_EVENTS;
  #bytesLeft = MAX_BYTES;
  #comparisonsLeft = MAX_COMPARISONS;
  /** Events left out since the last report; null when some were not compared with the filter. */
  #skipped: number | null = 0;
  #number = 0;

  constructor(parts: WriterParts, lease: TraceLease, now: number) {
    this.#parts = parts;
    this.#lease = lease;
    this.#expiresAt = now + lease.leaseMs;
  }

  renew(lease: TraceLease, now: number): void {
    this.#lease = lease;
    this.#expiresAt = now + lease.leaseMs;
  }

  hasExpired(now: number): boolean {
    return now >= this.#expiresAt;
  }

  /** Whether the trace shows the event and has room for it. Counts it as left out if there is no room. */
  admits(kind: ReportedKind, subject: TraceSubject, topics: number): boolean {
    if (!this.#lease.kinds.includes(kind)) return false;
    if (this.#comparisonsLeft < topics && this.#lease.topic !== undefined) {
      this.#skipped = null;
      this.#parts.onSkip(1);
      return false;
    }
    if (this.#lease.topic !== undefined) this.#comparisonsLeft -= topics;
    if (!isTraced(this.#lease, subject)) return false;
    if (this.#eventsLeft > 0) return true;
    this.#skip(1);
    return false;
  }

  /** Adds an event that {@link admits} has admitted, in JSON. Counts it as left out if there is no room for its bytes. */
  add(event: string): void {
    const bytes = Buffer.byteLength(event) + 1;
    const maxBytes = Math.min(MAX_REPORT_BYTES, this.#parts.bus.maxPayloadBytes() * MAX_PAYLOAD_SHARE);
    if (bytes > this.#bytesLeft || bytes > maxBytes) {
      this.#skip(1);
      return;
    }
    if (this.#bytes + bytes > maxBytes) this.flush();
    this.#eventsLeft--;
    this.#bytesLeft -= bytes;
    this.#events.push(event);
    this.#bytes += bytes;
  }

  /** Must be called once a second. */
  refill(): void {
    this.#eventsLeft = MAX_EVENTS;
    this.#bytesLeft = MAX_BYTES;
    this.#comparisonsLeft = MAX_COMPARISONS;
  }

  /** Reports what has happened since the last report. Events that NATS does not take count as left out. */
  flush(): void {
    if (this.#events.length === 0 && this.#skipped === 0) return;
    const { bus, workerId, subject } = this.#parts;
    const head = `{"worker":"${workerId}","number":${this.#number + 1},"skipped":${this.#skipped}`;
    const report = `${head},"events":[${this.#events.join(",")}]}`;
    if (bus.send(subject, Buffer.from(report)) === "sent") {
      this.#number++;
      this.#skipped = 0;
      this.#parts.onSent(this.#events.length);
    } else this.#skip(this.#events.length);
    this.#events = [];
    this.#bytes = 0;
  }

  #skip(events: number): void {
    if (this.#skipped !== null) this.#skipped += events;
    this.#parts.onSkip(events);
  }
}
