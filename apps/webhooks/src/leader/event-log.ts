import type { Journal } from "@fanwire/bus";
import { type ClusterEvent, parseClusterEvent, type Subjects } from "@fanwire/protocol";

const MAX_IN_FLIGHT = 128;
const MAX_IN_FLIGHT_BYTES = 1_048_576;

type InFlight = {
  readonly sequence: number;
  readonly event: ClusterEvent | undefined;
  readonly bytes: number;
  isStored: boolean;
};

type Waiter = { readonly sequence: number; resolve(): void; reject(error: Error): void };

type EventLogParts = {
  readonly journal: Journal;
  readonly subjects: Subjects;
  /** Called with each event when it is stored, in order; without an event for a dead letter. */
  onStored(sequence: number, event: ClusterEvent | undefined): void;
  /** Called once, when an event could not be stored. The log must not be used afterwards. */
  onFailed(error: Error): void;
};

/** Stores events, one after the other. Many are on their way at the same time. */
export class EventLog {
  /** Called when events are stored, so that the log may have room for others. */
  onRoom: () => void = () => {};
  readonly #parts: EventLogParts;
  readonly #inFlight: InFlight[] = [];
  #bytes = 0;
  #lastSequence: number;
  #storedSequence: number;
  #failure: Error | undefined;
  #waiting: Waiter[] = [];

  constructor(lastSequence: number, parts: EventLogParts) {
    this.#parts = parts;
    this.#lastSequence = lastSequence;
    this.#storedSequence = lastSequence;
  }

  /** Sequence of the last event that was sent. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Sequence up to which all events are stored. */
  get storedSequence(): number {
    return this.#storedSequence;
  }

  /** Whether no event must be added now. */
  get isFull(): boolean {
    return this.#failure !== undefined || this.#inFlight.length >= MAX_IN_FLIGHT || this.#bytes >= MAX_IN_FLIGHT_BYTES;
  }

  add(event: ClusterEvent): void {
    this.#store(this.#parts.subjects.storedEvent(event), JSON.stringify(event), event);
  }

  /** Stores an event that an endpoint refused permanently. */
  addDead(endpoint: string, content: string): void {
    this.#store(this.#parts.subjects.deadEvent(endpoint), content, undefined);
  }

  /** Resolves when everything up to a sequence is stored. @throws the error when an event could not be stored. */
  async stored(sequence: number): Promise<void> {
    if (sequence <= this.#storedSequence) return;
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => this.#waiting.push({ sequence, resolve, reject }));
  }

  /** Returns an event, or undefined when it is no longer stored or is a dead letter. */
  async read(sequence: number): Promise<{ readonly isStored: boolean; readonly event: ClusterEvent | undefined }> {
    const entry = await this.#parts.journal.read(sequence);
    if (entry === undefined) return { isStored: false, event: undefined };
    const isDead = this.#parts.subjects.isDeadEvent(entry.subject);
    return { isStored: true, event: isDead ? undefined : parseClusterEvent(Buffer.from(entry.content).toString()) };
  }

  #store(subject: string, content: string, event: ClusterEvent | undefined): void {
    const after = this.#lastSequence;
    const sequence = after + 1;
    this.#lastSequence = sequence;
    const inFlight: InFlight = { sequence, event, bytes: content.length, isStored: false };
    this.#inFlight.push(inFlight);
    this.#bytes += content.length;
    this.#parts.journal.append(subject, content, after).then(
      (stored) => {
        if (stored === sequence) this.#onStored(inFlight);
        else this.#fail(new Error(`stored as ${stored} instead of ${sequence}`));
      },
      (error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))),
    );
  }

  #onStored(inFlight: InFlight): void {
    inFlight.isStored = true;
    while (this.#failure === undefined && this.#inFlight[0]?.isStored) {
      const first = this.#inFlight.shift();
      if (first === undefined) return;
      this.#bytes -= first.bytes;
      this.#storedSequence = first.sequence;
      this.#parts.onStored(first.sequence, first.event);
    }
    const ready = this.#waiting.filter(({ sequence }) => sequence <= this.#storedSequence);
    this.#waiting = this.#waiting.filter(({ sequence }) => sequence > this.#storedSequence);
    for (const { resolve } of ready) resolve();
    if (!this.isFull) this.onRoom();
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    this.#parts.onFailed(error);
  }
}
