import { matchesTopic } from "@fanwire/protocol";
import { LiveRun } from "./live-run.ts";

export type ChaosTarget =
  | { readonly everyone: true }
  | { readonly topic: string }
  | { readonly user: string }
  | { readonly connection: string };

/** A publication on its way to one reader, as the reader saw it. */
export type Heard = {
  /** NaN when it was not the content of any publication. */
  readonly number: number;
  /** Topic or pattern by which it came; undefined when it was for everyone, the user or the connection. */
  readonly subscription: string | undefined;
  /** In the history; undefined when it was not durable. */
  readonly sequence: number | undefined;
  /** Of the connection on which it came. */
  readonly address: string;
};

type Entry = {
  readonly target: ChaosTarget;
  readonly isDurable: boolean;
  /** As it was acknowledged, else as somebody heard it first. */
  sequence: number | undefined;
};

/** What went wrong; each is a sentence for the report. */
export type Faults = {
  lost: string[];
  repeated: string[];
  disordered: string[];
  misdelivered: string[];
  /** What came was not what was published. */
  altered: string[];
  /** NATS stored it under two sequences, or gave one sequence to two: nobody can deliver that once and in order. */
  renumbered: string[];
  /** What of the first three concerns these. */
  byRenumbering: string[];
};

type FaultKind = "lost" | "repeated" | "disordered" | "misdelivered" | "altered";

/** What went wrong with one publication, by its number and the sequence it came under or was to come under. */
type Incident = {
  readonly kind: FaultKind;
  readonly number: number;
  readonly sequence: number | undefined;
  readonly text: string;
};

/** Something that is owed and has not come yet. */
export type Lack = Incident & { readonly reader: string; hasCome(): boolean };

/**
 * Knows what was published, what of it was acknowledged, and what each reader received. Every publication has a number, which
 * is its content. What is settled is forgotten in {@link settle}, so that a run may take hours.
 */
export class Ledger {
  readonly readers: Reader[] = [];
  readonly #entries = new Map<number, Entry>();
  readonly #acknowledged = new Map<number, number>();
  /** By sequence: the number that was acknowledged or heard with it first. */
  readonly #numbers = new Map<number, number>();
  readonly #incidents: Incident[] = [];
  readonly #renumbered: string[] = [];
  readonly #renumberedNumbers = new Set<number>();
  readonly #renumberedSequences = new Set<number>();
  #published = 0;
  /** Live publications before the first of these numbers are forgotten at the next settling, those before the last now. */
  #forgetLiveBefore: [number, number] = [0, 0];
  acknowledged = 0;
  delivered = 0;
  /** Of what was delivered: to one connection alone. */
  pushed = 0;

  /** The number of a new publication. */
  publish(target: ChaosTarget, isDurable: boolean): number {
    this.#published++;
    this.#entries.set(this.#published, { target, isDurable, sequence: undefined });
    return this.#published;
  }

  get published(): number {
    return this.#published;
  }

  /** What is known by now: that NATS is to blame may turn out later. */
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

  /** NATS broke its word: what its nodes hold differs, or is there twice. */
  get isRenumbered(): boolean {
    return this.#renumbered.length > 0;
  }

  note(incident: Incident): void {
    this.#incidents.push(incident);
  }

  /** It was said to be stored: from now on it is owed to every reader that it is for. */
  acknowledge(number: number, sequence: number): void {
    const entry = this.#entries.get(number);
    if (entry === undefined) return;
    this.assign(number, sequence, "acknowledged");
    entry.sequence = sequence;
    this.#acknowledged.set(sequence, number);
    this.acknowledged++;
  }

  /** Whoever says so, a publication has one sequence, and a sequence one publication. */
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

  addReader(options: Pick<Reader, "name" | "user" | "subscriptions" | "resumes">): Reader {
    const reader = new Reader(options, this);
    this.readers.push(reader);
    return reader;
  }

  entry(number: number): Entry | undefined {
    return this.#entries.get(number);
  }

  /** What is acknowledged up to `sequence` and owed to somebody who does not have it, as far as NATS kept its word. */
  missing(sequence: number): Lack[] {
    return this.#lacking(sequence).filter((incident) => !this.#isByNats(incident));
  }

  /**
   * Returns what tells whether nothing is missing up to `sequence`, to be asked as often as one likes: all that is owed is looked
   * through when nothing is known to be missing, and not each time. Through this process goes what NATS nodes say to each other.
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

  /** Everything up to `sequence` has had its time: what is missing is lost. Forgets what it knows of them. */
  settle(sequence: number): void {
    this.#incidents.push(...this.#lacking(sequence));
    for (const reader of this.readers) reader.settleLive(this.#upTo(sequence));
    // What is not acknowledged yet may be so later, and is judged then: under its id it is sent again for a minute.
    for (const [number, { sequence: settled }] of [...this.#upTo(sequence)]) {
      this.#acknowledged.delete(settled);
      this.#entries.delete(number);
      this.#numbers.delete(settled);
      for (const reader of this.readers) reader.forget(settled);
    }
    const [next, now] = this.#forgetLiveBefore;
    for (const [number, { isDurable }] of this.#entries) {
      if (!isDurable && number < now) this.#entries.delete(number);
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
  /** Whether it comes back to where it stood: then nothing may be missing. */
  readonly resumes: boolean;
  readonly #ledger: Ledger;
  /** By subscription: what came, by sequence if it is durable, else by number. */
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

  /** It was told that something may be missing up to here. */
  forgive(sequence: number): void {
    this.#owedAfter = Math.max(this.#owedAfter, sequence);
  }

  hear(heard: Heard): void {
    const { number, sequence, subscription = "", address } = heard;
    const note = (kind: FaultKind, what: string) =>
      this.#ledger.note({ kind, number, sequence, text: `${this.name} heard ${number} ${what}` });
    this.#ledger.delivered++;
    if (Number.isNaN(number)) {
      note("altered", `on ${address}, which nobody published`);
      return;
    }
    const entry = this.#ledger.entry(number);
    if (entry === undefined) {
      note("repeated", "which was settled before");
      return;
    }
    if (!this.#isFor(entry.target, heard)) {
      note("misdelivered", `for ${JSON.stringify(entry.target)} on ${address}`);
      return;
    }
    if ("connection" in entry.target) this.#ledger.pushed++;
    if (sequence === undefined) {
      if (entry.isDurable) this.#runOf(entry.target, `${subscription || "no topic"} on ${address}`).hear(number);
      // A reader without positions cannot tell one from the other.
      const key = `${number} ${subscription}`;
      if (this.#live.has(key)) note("repeated", "twice");
      this.#live.add(key);
      return;
    }
    this.#ledger.assign(number, sequence, `heard by ${this.name}`);
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

  /** Judges what came without sequences: nothing is missing within what one connection heard, and all of it is in order. */
  settleLive(acknowledged: Iterable<[number, { readonly target: ChaosTarget; readonly sequence: number }]>): void {
    const note = (kind: FaultKind, number: number, sequence: number, text: string) =>
      this.#ledger.note({ kind, number, sequence, text: `${this.name} ${text}` });
    for (const runs of this.#runs.values()) {
      for (const [way, run] of runs) {
        for (const { number, sequence, after } of run.disordered((heard) => this.#ledger.entry(heard)?.sequence))
          note("disordered", number, sequence, `heard ${number} (sequence ${sequence}), by ${way}, after ${after}`);
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

  /** By which of its subscriptions it hears the target; "" when it needs none. */
  #waysOf(target: ChaosTarget): string[] {
    if ("everyone" in target) return [""];
    if ("user" in target) return target.user === this.user ? [""] : [];
    if ("connection" in target) return [];
    return this.subscriptions.filter((pattern) => matchesTopic(pattern, target.topic));
  }

  #isFor(target: ChaosTarget, { address, subscription = "" }: Heard): boolean {
    if ("connection" in target) return target.connection === address;
    return this.#waysOf(target).includes(subscription);
  }
}
