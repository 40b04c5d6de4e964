import { type DurableTarget, matchesTopic } from "@fanwire/protocol";

/** A durable publication, identified by its content. */
export type Published = {
  readonly epoch: string;
  readonly sequence: number;
  readonly target: DurableTarget;
  readonly content: string;
};

/** A reader that resumes from a position. */
export type ResumingReader = {
  /** Topics and patterns, each once. */
  readonly patterns: readonly string[];
  readonly user: string | undefined;
  readonly includesEveryone: boolean;
  readonly since: string;
};

/** State of the stream, by its server. */
export type Stored = {
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly deleted: ReadonlySet<number>;
  readonly maxPerSubject: number;
};

/** The truth about a reader. `lost` and `foreign` must never be answered as recovered. */
export type Truth =
  /** Nothing is missing, and the history proves it. */
  | "provable"
  /** Nothing is missing, but the history cannot prove it. */
  | "unprovable"
  /** The history has dropped something that the reader missed. */
  | "lost"
  /** The position belongs to another history. */
  | "foreign";

/** A limit per subject that was in force up to a sequence, and lower than the one after it. */
type LowerLimit = { readonly limit: number; readonly through: number };

/** Keeps everything that was published, also what the history has dropped. */
export class RecoveryModel {
  readonly #byEpoch = new Map<string, Published[]>();
  readonly #lowerLimits = new Map<string, LowerLimit[]>();
  #reserved = 0;

  /** Returns the number of the next publication. */
  reserve(): number {
    return this.#reserved++;
  }

  add(publication: Published): void {
    const known = this.#byEpoch.get(publication.epoch);
    if (known) known.push(publication);
    else this.#byEpoch.set(publication.epoch, [publication]);
  }

  /** Must be called when the limit per subject was raised. */
  addLowerLimit(epoch: string, limit: LowerLimit): void {
    this.#lowerLimits.set(epoch, [...(this.#lowerLimits.get(epoch) ?? []), limit]);
  }

  /** Returns one of the earlier epochs, or undefined if there is none. */
  epochBefore(epoch: string, at: number): string | undefined {
    const older = [...this.#byEpoch.keys()].filter((each) => each !== epoch);
    return older[at % older.length];
  }

  /** Returns the contents that a reader missed, in order, once for each matching subscription. */
  missed(reader: ResumingReader, epoch: string): string[] {
    return this.#missedBy(reader, epoch).flatMap((each) =>
      Array<string>(subscriptionsOf(reader, each.target)).fill(each.content),
    );
  }

  truth(reader: ResumingReader, stored: Stored): Truth {
    const sequence = sequenceIn(reader.since, stored.epoch);
    if (sequence === undefined || sequence > stored.last) return "foreign";
    const missed = this.#missedBy(reader, stored.epoch).filter((each) => each.sequence <= stored.last);
    if (missed.some((each) => !isStored(each.sequence, stored))) return "lost";

    const counts = new Map<string, number>();
    for (const { target } of missed) counts.set(keyOf(target), (counts.get(keyOf(target)) ?? 0) + 1);
    const atSince = this.#byEpoch.get(stored.epoch)?.find((each) => each.sequence === sequence);
    const standsOn = atSince && isStored(sequence, stored) ? keyOf(atSince.target) : undefined;
    const earlier = (this.#lowerLimits.get(stored.epoch) ?? []).filter(({ through }) => sequence < through);
    // The history remembers the lowest of them, up to the last raise.
    const limit = Math.min(stored.maxPerSubject, ...(earlier.length > 0 ? this.#lowestOf(stored.epoch) : []));
    const isFull = [...counts].some(([key, count]) => count >= limit && key !== standsOn);
    return isFull || stored.first > sequence + 1 ? "unprovable" : "provable";
  }

  #lowestOf(epoch: string): number[] {
    return (this.#lowerLimits.get(epoch) ?? []).map(({ limit }) => limit);
  }

  #missedBy(reader: ResumingReader, epoch: string): Published[] {
    const sequence = sequenceIn(reader.since, epoch) ?? Number.POSITIVE_INFINITY;
    return (this.#byEpoch.get(epoch) ?? [])
      .filter((each) => each.sequence > sequence && subscriptionsOf(reader, each.target) > 0)
      .sort((one, other) => one.sequence - other.sequence);
  }
}

function isStored(sequence: number, { first, last, deleted }: Stored): boolean {
  return sequence >= first && sequence <= last && !deleted.has(sequence);
}

function sequenceIn(position: string, epoch: string): number | undefined {
  const [, of, digits] = /^([a-z0-9]+)-(0|[1-9][0-9]*)$/.exec(position) ?? [];
  return of === epoch ? Number(digits) : undefined;
}

function subscriptionsOf({ patterns, user, includesEveryone }: ResumingReader, target: DurableTarget): number {
  switch (target.kind) {
    case "everyone":
      return includesEveryone ? 1 : 0;
    case "user":
      return target.user === user ? 1 : 0;
    case "topic":
      return patterns.filter((pattern) => matchesTopic(pattern, target.topic)).length;
  }
}

function keyOf(target: DurableTarget): string {
  return JSON.stringify(target);
}
