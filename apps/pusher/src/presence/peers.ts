import { type Bus, type BusMessage, parseJson } from "@fanwire/bus";
import { type PresenceNotice, presenceNotice, type Subjects } from "@fanwire/protocol";

const BEAT_EVERY_MS = 1_000;
/** A worker that was silent for this long has lost its members. */
const LOST_AFTER_MS = 5_000;
/** Maximum delay of the beat to a worker that has just appeared. One beat serves all that appear within it. */
const INTRODUCE_WITHIN_MS = 50;
/** Time after connecting to NATS within which the beats of all other workers arrive. */
const SETTLE_MS = 300;

/** Another worker. */
export class Peer {
  readonly id: string;
  receivedAt = performance.now();
  /** Number of its last beat; undefined before the first. */
  beat: number | undefined;
  /** Number of topics with users of it. */
  topics = 0;

  constructor(id: string) {
    this.id = id;
  }
}

type PeersParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  /** Returns the number of topics that connections of this worker have joined. */
  countTopics(): number;
  /** Called when announcements of a worker may have been lost, and when it appears. */
  onGap(peer: Peer): void;
  /** Called when a worker has no users. */
  onEmpty(peer: Peer): void;
  /** Called when a worker has ended, or was silent for too long. */
  onLost(peer: Peer): void;
  /** Called about every second. */
  onBeat(): void;
};

/** The other workers: each sends a beat every second. */
export class Peers {
  readonly #parts: PeersParts;
  readonly #peers = new Map<string, Peer>();
  #beat = 0;
  #settledAt = performance.now() + SETTLE_MS;
  #introduction: NodeJS.Timeout | undefined;
  #beatTimer: NodeJS.Timeout | undefined;

  constructor(parts: PeersParts) {
    this.#parts = parts;
    const { bus, subjects } = parts;
    bus.subscribe(subjects.presenceWorkers, (message) => this.#onNotice(message));
  }

  start(): void {
    this.#beatTimer = setInterval(() => this.#onTimer(), BEAT_EVERY_MS);
    this.#beatTimer.unref();
    this.#sendBeat({ isRollCall: true });
  }

  /** Tells the others that this worker has no connections any longer. */
  stop(): void {
    clearInterval(this.#beatTimer);
    clearTimeout(this.#introduction);
    this.#send({ kind: "end", worker: this.#parts.workerId });
  }

  all(): Iterable<Peer> {
    return this.#peers.values();
  }

  has(peer: Peer): boolean {
    return this.#peers.get(peer.id) === peer;
  }

  /** Whether beats of all workers that NATS reaches have arrived. */
  get isSettled(): boolean {
    return performance.now() >= this.#settledAt;
  }

  /** Returns the worker that sent something. Undefined for this worker, and for one that has sent no beat. */
  noteMessage(id: string): Peer | undefined {
    const peer = this.#peers.get(id);
    if (peer) peer.receivedAt = performance.now();
    return peer;
  }

  /** Makes the other workers ask for the users of this one, because announcements may have been lost. */
  reportGap(): void {
    this.#beat++;
  }

  /** Must be called when NATS is connected again. */
  onReconnect(): void {
    this.#settledAt = performance.now() + SETTLE_MS;
    this.reportGap();
    this.#sendBeat({ isRollCall: true });
    for (const peer of this.#peers.values()) this.#parts.onGap(peer);
  }

  /** Ends the workers that were silent for too long. */
  check(): void {
    const now = performance.now();
    for (const peer of this.#peers.values()) if (now - peer.receivedAt > LOST_AFTER_MS) this.#lose(peer);
  }

  /** Does not count a time in which this process was stopped as silence of the others. */
  excuse(stoppedMs: number): void {
    for (const peer of this.#peers.values()) peer.receivedAt += stoppedMs;
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
    const peer = known ?? this.#add(notice.worker);
    if (notice.isRollCall || known === undefined) this.#introduce();
    const isGap = peer.beat === undefined || notice.beat !== peer.beat + 1;
    const becameEmpty = notice.topics === 0 && (isGap || peer.topics > 0);
    peer.beat = notice.beat;
    peer.topics = notice.topics;
    if (becameEmpty) this.#parts.onEmpty(peer);
    else if (isGap) this.#parts.onGap(peer);
  }

  #add(id: string): Peer {
    const peer = new Peer(id);
    this.#peers.set(id, peer);
    return peer;
  }

  #lose(peer: Peer): void {
    this.#peers.delete(peer.id);
    this.#parts.onLost(peer);
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
