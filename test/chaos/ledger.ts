import { matchesTopic } from "@fanwire/protocol";

export type ChaosTarget =
  | { readonly everyone: true }
  | { readonly topic: string }
  | { readonly user: string }
  | { readonly connection: string };

/** A publication on its way to one reader, as the reader saw it. */
export type Heard = {
  readonly number: number;
  /** Topic or pattern by which it came; undefined when it was for everyone, the user or the connection. */
  readonly subscription: string | undefined;
  /** In the log; undefined when it was not durable. */
  readonly sequence: number | undefined;
  /** Of the connection on which it came. */
  readonly address: string;
};

type Entry = { readonly target: ChaosTarget; readonly isDurable: boolean; sequence: number | undefined };

/** What went wrong; each is a sentence for the report. */
export type Faults = {
  lost: string[];
  repeated: string[];
  disordered: string[];
  misdelivered: string[];
  /** NATS stored it under another sequence than it had said, or gave one sequence to two: nobody can deliver that in order. */
  renumbered: string[];
};

/**
 * Knows what was published, what of it was acknowledged, and what each reader received. Every publication has a number, which
 * is its content. What is settled is forgotten in {@link settle}, so that a run may take hours.
 */
export class Ledger {
  readonly faults: Faults = { lost: [], repeated: [], disordered: [], misdelivered: [], renumbered: [] };
  readonly readers: Reader[] = [];
  readonly #entries = new Map<number, Entry>();
  readonly #acknowledged = new Map<number, number>();
  #published = 0;
  /** Live publications before the first of these numbers are forgotten at the next settling, those before the last now. */
  #forgetLiveBefore: [number, number] = [0, 0];
  acknowledged = 0;
  delivered = 0;

  /** The number of a new publication. */
  publish(target: ChaosTarget, isDurable: boolean): number {
    this.#published++;
    this.#entries.set(this.#published, { target, isDurable, sequence: undefined });
    return this.#published;
  }

  get published(): number {
    return this.#published;
  }

  /** It was said to be stored: from now on it is owed to every reader that it is for. */
  acknowledge(number: number, sequence: number): void {
    const entry = this.#entries.get(number);
    if (entry === undefined) return;
    const known = this.#acknowledged.get(sequence);
    if (known !== undefined && known !== number) {
      this.faults.renumbered.push(`${number} and ${known} were both given sequence ${sequence}`);
    }
    entry.sequence = sequence;
    this.#acknowledged.set(sequence, number);
    this.acknowledged++;
  }

  addReader(options: Pick<Reader, "name" | "user" | "subscriptions" | "resumes">): Reader {
    const reader = new Reader(options, this);
    this.readers.push(reader);
    return reader;
  }

  entry(number: number): Entry | undefined {
    return this.#entries.get(number);
  }

  /** What is acknowledged up to `sequence` and owed to somebody who does not have it, named. */
  missing(sequence: number): string[] {
    return this.readers.filter(({ resumes }) => resumes).flatMap((reader) => reader.missing(this.#upTo(sequence)));
  }

  /** Everything up to `sequence` has had its time: what is missing is lost. Forgets what it knows of them. */
  settle(sequence: number): void {
    this.faults.lost.push(...this.missing(sequence));
    for (const [number] of this.#upTo(sequence)) {
      this.#acknowledged.delete(this.#entries.get(number)?.sequence ?? 0);
      this.#entries.delete(number);
    }
    const [next, now] = this.#forgetLiveBefore;
    for (const [number, { isDurable }] of this.#entries) {
      if (!isDurable && number < now) this.#entries.delete(number);
    }
    this.#forgetLiveBefore = [this.#published, next];
    for (const reader of this.readers) reader.forget(sequence, next);
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
  /** By subscription and subject. */
  readonly #last = new Map<string, number>();
  #owedAfter = 0;
  #settled = 0;

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
    const { faults } = this.#ledger;
    const { number, sequence, subscription = "", address } = heard;
    this.#ledger.delivered++;
    const entry = this.#ledger.entry(number);
    if (entry === undefined) {
      faults.repeated.push(`${this.name} heard ${number}, which was settled before`);
      return;
    }
    if (!this.#isFor(entry.target, heard)) {
      faults.misdelivered.push(`${this.name} heard ${number} for ${JSON.stringify(entry.target)} on ${heard.address}`);
      return;
    }
    if (sequence === undefined) {
      // A reader without positions cannot tell one from the other.
      const key = `${number} ${subscription}`;
      if (this.#live.has(key)) faults.repeated.push(`${this.name} heard ${number} twice`);
      this.#live.add(key);
      return;
    }
    if (entry.sequence !== undefined && entry.sequence !== sequence) {
      faults.renumbered.push(`${this.name} heard ${number} as sequence ${sequence}, acknowledged as ${entry.sequence}`);
    }
    const came = this.#durable.get(subscription) ?? new Set();
    this.#durable.set(subscription, came);
    if (came.has(sequence) || sequence <= this.#settled) {
      faults.repeated.push(`${this.name} heard ${number} (sequence ${sequence}, ${subscription}) twice`);
    }
    came.add(sequence);
    const subject = `${subscription} ${JSON.stringify(entry.target)}`;
    const last = this.#last.get(subject) ?? 0;
    if (sequence < last) {
      faults.disordered.push(`${this.name} on ${address} heard sequence ${sequence} of ${subject} after ${last}`);
    }
    this.#last.set(subject, Math.max(last, sequence));
  }

  missing(acknowledged: Iterable<[number, { readonly target: ChaosTarget; readonly sequence: number }]>): string[] {
    const missing: string[] = [];
    for (const [number, { target, sequence }] of acknowledged) {
      if (sequence <= this.#owedAfter) continue;
      for (const subscription of this.#waysOf(target)) {
        if (this.#durable.get(subscription)?.has(sequence)) continue;
        missing.push(`${this.name} lacks ${number} (sequence ${sequence}) for ${JSON.stringify(target)}`);
      }
    }
    return missing;
  }

  forget(sequence: number, number: number): void {
    this.#settled = Math.max(this.#settled, sequence);
    for (const came of this.#durable.values()) {
      for (const each of came) if (each <= sequence) came.delete(each);
    }
    for (const key of this.#live) if (Number.parseInt(key, 10) < number) this.#live.delete(key);
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
