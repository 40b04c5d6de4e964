import type { Journal, JournalEntry } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";

/** Reads at the same time. */
const PARALLEL_READS = 64;

/**
 * The records of the leader in JetStream, one message for each name. A record that another leader has written is never
 * overwritten.
 */
export class Records {
  readonly #journal: Journal;
  readonly #subjects: Subjects;
  readonly #sequences = new Map<string, number>();

  constructor(journal: Journal, subjects: Subjects) {
    this.#journal = journal;
    this.#subjects = subjects;
  }

  /** Returns a record, or undefined when there is none. @throws when JetStream does not answer. */
  async load(name: string): Promise<unknown> {
    const subject = this.#subjects.webhookRecord(name);
    const entry = await this.#journal.last(subject);
    return entry === undefined ? undefined : this.#read(subject, entry);
  }

  /** Returns the records with these names; undefined for those that do not exist. */
  async loadAll(names: readonly string[]): Promise<unknown[]> {
    const records: unknown[] = [];
    // Most records do not exist, and each read would take a request.
    const stored = await this.#journal.subjects();
    const load = (name: string) => (stored.has(this.#subjects.webhookRecord(name)) ? this.load(name) : undefined);
    for (let from = 0; from < names.length; from += PARALLEL_READS) {
      records.push(...(await Promise.all(names.slice(from, from + PARALLEL_READS).map(load))));
    }
    return records;
  }

  /** @throws JournalError when another leader has written the record, or JetStream does not confirm. */
  async save(name: string, record: unknown): Promise<void> {
    const subject = this.#subjects.webhookRecord(name);
    const after = this.#sequences.get(subject) ?? 0;
    this.#sequences.set(subject, await this.#journal.replace(subject, JSON.stringify(record), after));
  }

  #read(subject: string, { sequence, content }: JournalEntry): unknown {
    this.#sequences.set(subject, sequence);
    try {
      return JSON.parse(Buffer.from(content).toString());
    } catch {
      return undefined;
    }
  }
}
