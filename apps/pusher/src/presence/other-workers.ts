import { type Bus, type BusMessage, parseJson } from "@fanwire/bus";
import { type PresenceNotice, presenceNotice, type Subjects } from "@fanwire/protocol";

const BEAT_EVERY_MS = 1_000;
/** The members of a worker that is silent for this long are removed. */
const LOST_AFTER_MS = 5_000;
/** Maximum delay of the beat to a worker that has just appeared. One beat serves all that appear within it. */
const INTRODUCE_WITHIN_MS = 50;
/** Time after connecting to NATS within which the beats of all other workers arrive. */
const SETTLE_MS = 300;

/** Another worker. */
export class OtherWorker {
  readonly id: string;
  receivedAt = performance.now();
  /** Number of its last beat; undefined before the first. */
  beat: number | undefined;
  /** Number of topics that its connections have joined. */
  topics = 0;

  constructor(id: string) {
    this.id = id;
  }
}

type OtherWorkersParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  /** Returns the number of topics that connections of this worker have joined. */
  countTopics(): number;
  /** Called when announcements of a worker may have been lost, and when it appears. */
  onGap(other: OtherWorker): void;
  /** Called when a worker has no users. */
  onEmpty(other: OtherWorker): void;
  /** Called when a worker has ended, or was silent for too long. */
  onLost(other: OtherWorker): void;
  /** Called about every second. */
  onBeat(): void;
};

/** The other workers: each sends a beat every second. */
export class OtherWorkers {
  readonly #parts: OtherWorkersParts;
  readonly #others = new Map<string, OtherWorker>();
  #beat = 0;
  #settledAt = performance.now() + SETTLE_MS;
  #introduction: NodeJS.Timeout | undefined;
  #beatTimer: NodeJS.Timeout | undefined;

  constructor(parts: OtherWorkersParts) {
    this.#parts = parts;
    const { bus, subjects } = parts;
    bus.subscribe(subjects.presenceWorkers, (message) => this.#onNotice(message));
  }

  start(): void {
    this.#beatTimer = setInterval(() => this.#onTimer(), BEAT_EVERY_MS);
    this.#beatTimer.unref();
    this.#sendBeat({ isRollCall: true });
  }

  /** Announces to the others that this worker has no connections any longer. */
  stop(): void {
    clearInterval(this.#beatTimer);
    clearTimeout(this.#introduction);
    this.#send({ kind: "end", worker: this.#parts.workerId });
  }

  has(other: OtherWorker): boolean {
    return this.#others.get(other.id) === other;
  }

  /** Whether beats of all workers that NATS reaches have arrived. */
  get isSettled(): boolean {
    return performance.now() >= this.#settledAt;
  }

  /** Returns the worker that sent something. Undefined for this worker, and for one that has sent no beat. */
  noteMessage(id: string): OtherWorker | undefined {
    const other = this.#others.get(id);
    if (other) other.receivedAt = performance.now();
    return other;
  }

  /** Skips a number, so that the other workers ask for the users of this one: announcements may have been lost. */
  skipBeat(): void {
    this.#beat++;
  }

  /** Must be called when NATS is connected again. */
  onReconnect(): void {
    this.#settledAt = performance.now() + SETTLE_MS;
    this.skipBeat();
    this.#sendBeat({ isRollCall: true });
    for (const other of this.#others.values()) this.#parts.onGap(other);
  }

  /** Removes the workers that were silent for too long. */
  check(): void {
    const now = performance.now();
    for (const other of this.#others.values()) if (now - other.receivedAt > LOST_AFTER_MS) this.#lose(other);
  }

  /** Does not count a time in which this process was stopped as silence of the others. */
  extendDeadlines(stoppedMs: number): void {
    for (const other of this.#others.values()) other.receivedAt += stoppedMs;
  }

  #onTimer(): void {
    this.#sendBeat({});
    this.#parts.onBeat();
  }

  #sendBeat(more: { readonly isRollCall?: boolean }): void {
    this.#beat++;
    const { workerId: worker, countTopics } = this.#parts;
    this.#send({ kind: "beat", worker, beat: this.#beat, topics: countTopics(), ...more });
  }

  #send(notice: PresenceNotice): void {
    const { bus, subjects } = this.#parts;
    bus.send(subjects.presenceWorkers, Buffer.from(JSON.stringify(notice)));
  }

  #onNotice(message: BusMessage): void {
    const { data: notice } = presenceNotice.safeParse(parseJson(message));
    if (notice === undefined || notice.worker === this.#parts.workerId) return;
    const known = this.noteMessage(notice.worker);
    if (notice.kind === "end") {
      if (known) this.#lose(known);
      return;
    }
    const other = known ?? this.#add(notice.worker);
    if (notice.isRollCall || known === undefined) this.#introduce();
    const isGap = other.beat === undefined || notice.beat !== other.beat + 1;
    const becameEmpty = notice.topics === 0 && (isGap || other.topics > 0);
    other.beat = notice.beat;
    other.topics = notice.topics;
    if (becameEmpty) this.#parts.onEmpty(other);
    else if (isGap) this.#parts.onGap(other);
  }

  #add(id: string): OtherWorker {
    const other = new OtherWorker(id);
    this.#others.set(id, other);
    return other;
  }

  #lose(other: OtherWorker): void {
    this.#others.delete(other.id);
    this.#parts.onLost(other);
  }

  #introduce(): void {
    if (this.#introduction !== undefined) return;
    this.#introduction = setTimeout(() => {
      this.#introduction = undefined;
      this.#sendBeat({});
    }, Math.random() * INTRODUCE_WITHIN_MS);
    this.#introduction.unref();
  }
}
