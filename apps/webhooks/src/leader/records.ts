import type { Journal, JournalEntry } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";

/** The records of the leader in JetStream, one message for each name. A record that another leader has written is never overwritten. */
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

  /** Returns all records whose name begins with `branch` and a dot. */
  async loadAll(branch: string): Promise<unknown[]> {
    const filter = this.#subjects.webhookRecord(`${branch}.*`);
    const records: unknown[] = [];
    for (let from = 1; ; ) {
      const entry = await this.#journal.next(filter, from);
      if (entry === undefined) return records;
      records.push(this.#read(entry.subject, entry));
      from = entry.sequence + 1;
    }
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
