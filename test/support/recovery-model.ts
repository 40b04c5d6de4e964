import { type DurableTarget, matchesTopic } from "@fanwire/protocol";

/** One durable publication that was ever made; its content names it. */
export type Published = {
  readonly epoch: string;
  readonly sequence: number;
  readonly target: DurableTarget;
  readonly content: string;
};

/** Who comes back: what it follows, and where it says it stood. */
export type Returning = {
  /** Topics and patterns, each once. */
  readonly follows: readonly string[];
  readonly user: string | undefined;
  readonly hearsEveryone: boolean;
  readonly since: string;
};

/** What the stream holds, as its server says. */
export type Stored = {
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly deleted: ReadonlySet<number>;
  readonly maxPerSubject: number;
};

/** What may be said of a reader: `lost` and `foreign` must never be called recovered. */
export type Truth =
  /** Nothing is missing, and the history shows it. */
  | "provable"
  /** Nothing is missing, but neither of the signs is there by which the history shows it. */
  | "unprovable"
  /** Something it missed is not stored any more. */
  | "lost"
  /** Its position is none of this history. */
  | "foreign";

/** Knows everything that was ever published, whatever the history has dropped since. */
export class RecoveryModel {
  readonly #byEpoch = new Map<string, Published[]>();
  #reserved = 0;

  /** A number that names the next publication. */
  reserve(): number {
    return this.#reserved++;
  }

  add(publication: Published): void {
    const known = this.#byEpoch.get(publication.epoch);
    if (known) known.push(publication);
    else this.#byEpoch.set(publication.epoch, [publication]);
  }

  /** One of the epochs before this one; undefined when there is none. */
  epochBefore(epoch: string, at: number): string | undefined {
    const older = [...this.#byEpoch.keys()].filter((each) => each !== epoch);
    return older[at % older.length];
  }

  /** Contents of what it missed, in order, once for each of its subscriptions. */
  missed(reader: Returning, epoch: string): string[] {
    return this.#missedBy(reader, epoch).flatMap((each) =>
      Array<string>(subscriptionsOf(reader, each.target)).fill(each.content),
    );
  }

  truth(reader: Returning, stored: Stored): Truth {
    const sequence = sequenceIn(reader.since, stored.epoch);
    if (sequence === undefined || sequence > stored.last) return "foreign";
    const missed = this.#missedBy(reader, stored.epoch).filter((each) => each.sequence <= stored.last);
    if (missed.some((each) => !isStored(each.sequence, stored))) return "lost";

    const counts = new Map<string, number>();
    for (const { target } of missed) counts.set(keyOf(target), (counts.get(keyOf(target)) ?? 0) + 1);
    const atSince = this.#byEpoch.get(stored.epoch)?.find((each) => each.sequence === sequence);
    const standsOn = atSince && isStored(sequence, stored) ? keyOf(atSince.target) : undefined;
    const isFull = [...counts].some(([key, count]) => count >= stored.maxPerSubject && key !== standsOn);
    return isFull || stored.first > sequence + 1 ? "unprovable" : "provable";
  }

  #missedBy(reader: Returning, epoch: string): Published[] {
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

function subscriptionsOf({ follows, user, hearsEveryone }: Returning, target: DurableTarget): number {
  switch (target.kind) {
    case "everyone":
      return hearsEveryone ? 1 : 0;
    case "user":
      return target.user === user ? 1 : 0;
    case "topic":
      return follows.filter((pattern) => matchesTopic(pattern, target.topic)).length;
  }
}

function keyOf(target: DurableTarget): string {
  return JSON.stringify(target);
}
