import { matchesTopic } from "@fanwire/protocol";
import { LiveRun } from "./live-run.ts";

export type ChaosTarget =
  | { readonly everyone: true }
  | { readonly topic: string }
  | { readonly user: string }
  | { readonly connection: string };

/** A publication as one reader received it. */
export type Received = {
  /** NaN when the content is not that of any publication. */
  readonly number: number;
  /** Topic or pattern of the delivery. Undefined when the target was everyone, a user or a connection. */
  readonly subscription: string | undefined;
  /** Sequence in the history. Undefined when the publication was not durable. */
  readonly sequence: number | undefined;
  /** The connection that received it. */
  readonly address: string;
};

type Entry = {
  readonly target: ChaosTarget;
  readonly isDurable: boolean;
  /** The acknowledged sequence, or else the first one that a reader received. */
  sequence: number | undefined;
  /** No publisher has answered for it, so one may still publish it for the first time. */
  isPending: boolean;
};

/** Failures of a run, each a sentence for the report. */
export type Faults = {
  lost: string[];
  repeated: string[];
  disordered: string[];
  misdelivered: string[];
  /** Contents that differ from what was published. */
  altered: string[];
  /** NATS stored a publication under two sequences, or two under one. Exact delivery is impossible then. */
  renumbered: string[];
  /** Failures of the first three kinds that follow from such a publication. */
  byRenumbering: string[];
};

type FaultKind = "lost" | "repeated" | "disordered" | "misdelivered" | "altered";

/** A failure of one publication, with its number and its expected or received sequence. */
type Incident = {
  readonly kind: FaultKind;
  readonly number: number;
  readonly sequence: number | undefined;
  readonly text: string;
};

/** An acknowledged publication that a reader has not received yet. */
export type Lack = Incident & { readonly reader: string; hasCome(): boolean };

/**
 * Records publications, acknowledgements, and what each reader received. Every publication has a number, which is its
 * content. {@link settle} drops what has been judged, so that a run may take hours.
 */
export class Ledger {
  readonly readers: Reader[] = [];
  readonly #entries = new Map<number, Entry>();
  readonly #acknowledged = new Map<number, number>();
  /** By sequence, the number that was first acknowledged or received with it. */
  readonly #numbers = new Map<number, number>();
  /** Sequences of settled durable publications, by number. */
  readonly #settled = new Map<number, number>();
  readonly #incidents: Incident[] = [];
  readonly #renumbered: string[] = [];
  readonly #renumberedNumbers = new Set<number>();
  readonly #renumberedSequences = new Set<number>();
  #published = 0;
  /** Live publications below the first number are dropped at the next settling, those below the last one now. */
  #forgetLiveBefore: [number, number] = [0, 0];
  acknowledged = 0;
  delivered = 0;
  /** Publications to one connection among the deliveries. */
  pushed = 0;

  /** Returns the number of a new publication. */
  publish(target: ChaosTarget, isDurable: boolean): number {
    this.#published++;
    this.#entries.set(this.#published, { target, isDurable, sequence: undefined, isPending: true });
    return this.#published;
  }

  /** A publisher has answered for these publications. It publishes the live ones of a mixed batch before. */
  answered(numbers: Iterable<number>): void {
    for (const number of numbers) {
      const entry = this.#entries.get(number);
      if (entry !== undefined) entry.isPending = false;
    }
  }

  get published(): number {
    return this.#published;
  }

  /** The failures known so far. A later answer may still show that NATS caused one. */
  get faults(): Faults {
    const textsOf = (incidents: readonly Incident[]) => incidents.map(({ text }) => text);
    const own = this.#incidents.filter((incident) => !this.#isByNats(incident));
    const ownOf = (wanted: FaultKind) => textsOf(own.filter(({ kind }) => kind === wanted));
    return {
      lost: ownOf("lost"),
      repeated: ownOf("repeated"),
      disordered: ownOf("disordered"),
      misdelivered: ownOf("misdelivered"),
      altered: ownOf("altered"),
      renumbered: [...this.#renumbered],
      byRenumbering: textsOf(this.#incidents.filter((incident) => this.#isByNats(incident))),
    };
  }

  /** The nodes of NATS hold different histories, or one publication twice. */
  get isRenumbered(): boolean {
    return this.#renumbered.length > 0;
  }

  note(incident: Incident): void {
    this.#incidents.push(incident);
  }

  /** The publication is acknowledged as stored: every reader of its target must receive it. */
  acknowledge(number: number, sequence: number): void {
    const entry = this.#entries.get(number);
    if (entry === undefined) return;
    this.assign(number, sequence, "acknowledged");
    entry.sequence = sequence;
    this.#acknowledged.set(sequence, number);
    this.acknowledged++;
  }

  /** Checks that a publication has one sequence and a sequence one publication, whatever the source. */
  assign(number: number, sequence: number, how: string): void {
    const entry = this.#entries.get(number);
    const known = entry?.sequence ?? sequence;
    const other = this.#numbers.get(sequence) ?? number;
    if (entry !== undefined) entry.sequence ??= sequence;
    if (other === number) this.#numbers.set(sequence, number);
    if (known === sequence && other === number) return;
    this.#renumbered.push(
      other === number
        ? `${number} was ${how} as sequence ${sequence}, which was ${known} before`
        : `${number} was ${how} as sequence ${sequence}, which was that of ${other}`,
    );
    for (const each of [number, other]) this.#renumberedNumbers.add(each);
    for (const each of [known, sequence]) this.#renumberedSequences.add(each);
  }

  /** Records that a settled publication was received again. Under another sequence, NATS has stored it twice. */
  receivedAgain(number: number, sequence: number | undefined, by: string): void {
    const settled = this.#settled.get(number);
    if (settled === undefined || sequence === undefined || sequence === settled) return;
    this.#renumbered.push(`${number} was received by ${by} as sequence ${sequence}, and settled as ${settled}`);
    this.#renumberedNumbers.add(number);
  }

  addReader(options: Pick<Reader, "name" | "user" | "subscriptions" | "resumes">): Reader {
    const reader = new Reader(options, this);
    this.readers.push(reader);
    return reader;
  }

  entry(number: number): Entry | undefined {
    return this.#entries.get(number);
  }

  /** Acknowledged publications up to `sequence` that a reader lacks, except those that NATS renumbered. */
  missing(sequence: number): Lack[] {
    return this.#lacking(sequence).filter((incident) => !this.#isByNats(incident));
  }

  /**
   * Returns a function that returns whether all readers are complete up to `sequence`. It is cheap to call often: it
   * looks through everything only when nothing known is missing. All traffic between NATS nodes waits while this
   * process is busy.
   */
  completion(sequence: number): () => boolean {
    let open: Lack[] = [];
    const hasCome = (lack: Lack | undefined) => lack === undefined || lack.hasCome() || this.#isByNats(lack);
    return () => {
      while (open.length > 0 && hasCome(open.at(-1))) open.pop();
      if (open.length === 0) open = this.missing(sequence);
      return open.length === 0;
    };
  }

  /** Declares what is missing up to `sequence` lost, and forgets all that is known up to it. */
  settle(sequence: number): void {
    this.#incidents.push(...this.#lacking(sequence));
    for (const reader of this.readers) reader.settleLive(this.#upTo(sequence));
    // An unacknowledged publication is judged later: the load sends it again under its id for a minute.
    for (const [number, { sequence: settled }] of [...this.#upTo(sequence)]) {
      this.#acknowledged.delete(settled);
      this.#entries.delete(number);
      this.#settled.set(number, settled);
      this.#numbers.delete(settled);
      for (const reader of this.readers) reader.forget(settled);
    }
    const [next, now] = this.#forgetLiveBefore;
    for (const [number, { isDurable, isPending }] of this.#entries) {
      if (!isDurable && !isPending && number < now) this.#entries.delete(number);
    }
    this.#forgetLiveBefore = [this.#published, next];
    for (const reader of this.readers) reader.forgetLive(next);
  }

  #lacking(sequence: number): Lack[] {
    const acknowledged = [...this.#upTo(sequence)];
    return this.readers.filter(({ resumes }) => resumes).flatMap((reader) => reader.missing(acknowledged));
  }

  #isByNats({ kind, number, sequence = 0 }: Incident): boolean {
    return kind !== "misdelivered" && (this.#renumberedNumbers.has(number) || this.#renumberedSequences.has(sequence));
  }

  *#upTo(sequence: number): Generator<[number: number, entry: Entry & { sequence: number }]> {
    for (const [own, number] of this.#acknowledged) {
      const entry = this.#entries.get(number);
      if (own <= sequence && entry !== undefined) yield [number, { ...entry, sequence: own }];
    }
  }
}

/** One client, over all its connections. */
export class Reader {
  readonly name: string;
  readonly user: string | undefined;
  readonly subscriptions: readonly string[];
  /** Whether the client resumes, so that it must receive everything. */
  readonly resumes: boolean;
  readonly #ledger: Ledger;
  /** Deliveries by subscription, then by sequence if durable, else by number. */
  readonly #durable = new Map<string, Set<number>>();
  readonly #live = new Set<string>();
  /** By subject, subscription and connection. */
  readonly #runs = new Map<string, Map<string, LiveRun>>();
  /** By subscription and subject. */
  readonly #last = new Map<string, number>();
  #owedAfter = 0;

  constructor(options: Pick<Reader, "name" | "user" | "subscriptions" | "resumes">, ledger: Ledger) {
    this.name = options.name;
    this.user = options.user;
    this.subscriptions = options.subscriptions;
    this.resumes = options.resumes;
    this.#ledger = ledger;
  }

  /** The client was not recovered up to this publication. */
  forgive(sequence: number): void {
    this.#owedAfter = Math.max(this.#owedAfter, sequence);
  }

  receive(received: Received): void {
    const { number, sequence, subscription = "", address } = received;
    const note = (kind: FaultKind, what: string) =>
      this.#ledger.note({ kind, number, sequence, text: `${this.name} received ${number} ${what}` });
    this.#ledger.delivered++;
    if (Number.isNaN(number)) {
      note("altered", `on ${address}, which nobody published`);
      return;
    }
    const entry = this.#ledger.entry(number);
    if (entry === undefined) {
      note("repeated", `(sequence ${sequence}), which was settled before`);
      this.#ledger.receivedAgain(number, sequence, this.name);
      return;
    }
    if (!this.#isFor(entry.target, received)) {
      note("misdelivered", `for ${JSON.stringify(entry.target)} on ${address}`);
      return;
    }
    if ("connection" in entry.target) this.#ledger.pushed++;
    if (sequence === undefined) {
      if (entry.isDurable) this.#runOf(entry.target, `${subscription || "no topic"} on ${address}`).receive(number);
      // A client that cannot resume may receive a durable publication again from a worker that is behind the former
      // one.
      const key = `${number} ${subscription} ${entry.isDurable ? address : ""}`;
      if (this.#live.has(key)) note("repeated", `twice, the second time on ${address}`);
      this.#live.add(key);
      return;
    }
    this.#ledger.assign(number, sequence, `received by ${this.name}`);
    const came = this.#durable.get(subscription) ?? new Set();
    this.#durable.set(subscription, came);
    if (came.has(sequence)) note("repeated", `(sequence ${sequence}, ${subscription}) twice`);
    came.add(sequence);
    const subject = `${subscription} ${JSON.stringify(entry.target)}`;
    const last = this.#last.get(subject) ?? 0;
    if (sequence < last) note("disordered", `(sequence ${sequence} of ${subject}) on ${address} after ${last}`);
    this.#last.set(subject, Math.max(last, sequence));
  }

  missing(acknowledged: Iterable<[number, { readonly target: ChaosTarget; readonly sequence: number }]>): Lack[] {
    const missing: Lack[] = [];
    for (const [number, { target, sequence }] of acknowledged) {
      for (const subscription of this.#waysOf(target)) {
        const hasCome = () => sequence <= this.#owedAfter || this.#durable.get(subscription)?.has(sequence) === true;
        if (hasCome()) continue;
        const text = `${this.name} lacks ${number} (sequence ${sequence}) for ${JSON.stringify(target)}`;
        missing.push({ kind: "lost", reader: this.name, number, sequence, text, hasCome });
      }
    }
    return missing;
  }

  /** Judges deliveries without sequences: each connection received all between its first and last, in order. */
  settleLive(acknowledged: Iterable<[number, { readonly target: ChaosTarget; readonly sequence: number }]>): void {
    const note = (kind: FaultKind, number: number, sequence: number, text: string) =>
      this.#ledger.note({ kind, number, sequence, text: `${this.name} ${text}` });
    for (const runs of this.#runs.values()) {
      for (const [way, run] of runs) {
        for (const { number, sequence, after } of run.disordered((received) => this.#ledger.entry(received)?.sequence))
          note("disordered", number, sequence, `received ${number} (sequence ${sequence}), by ${way}, after ${after}`);
      }
    }
    for (const [number, { target, sequence }] of acknowledged) {
      for (const [way, run] of this.#runs.get(JSON.stringify(target)) ?? []) {
        if (run.lacks(number, sequence))
          note("lost", number, sequence, `lacks ${number} (sequence ${sequence}), by ${way}`);
        run.forget(number);
      }
    }
  }

  forget(sequence: number): void {
    for (const came of this.#durable.values()) came.delete(sequence);
  }

  forgetLive(number: number): void {
    for (const key of this.#live) if (Number.parseInt(key, 10) < number) this.#live.delete(key);
  }

  #runOf(target: ChaosTarget, way: string): LiveRun {
    const subject = JSON.stringify(target);
    const runs = this.#runs.get(subject) ?? new Map<string, LiveRun>();
    this.#runs.set(subject, runs);
    const run = runs.get(way) ?? new LiveRun();
    runs.set(way, run);
    return run;
  }

  /** The subscription by which the reader receives the target. Empty when it needs none. */
  #waysOf(target: ChaosTarget): string[] {
    if ("everyone" in target) return [""];
    if ("user" in target) return target.user === this.user ? [""] : [];
    if ("connection" in target) return [];
    return this.subscriptions.filter((pattern) => matchesTopic(pattern, target.topic));
  }

  #isFor(target: ChaosTarget, { address, subscription = "" }: Received): boolean {
    if ("connection" in target) return target.connection === address;
    return this.#waysOf(target).includes(subscription);
  }
}
