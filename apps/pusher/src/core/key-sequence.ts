/** What to do with a durable publication that came in. */
export type Verdict =
  | "deliver"
  /** It was delivered before, or predates the following. */
  | "duplicate"
  /** One before it on its subject has not come: deliver neither before that is read from the history. */
  | "gap";

/** Subjects of one pattern that are remembered; beyond that they are forgotten and learnt anew. */
const MAX_SUBJECTS = 10_000;

type Memory = {
  readonly deliveredAbove: Set<number>;
  /** What was delivered last on each subject. */
  readonly lastOf: Map<string, number>;
};

/**
 * Which durable publications of one followed key (a topic, a pattern, a user, everyone) this worker has delivered, so that
 * each is delivered once and what is missing is noticed. Sequences are those of the history.
 */
export class KeySequence {
  /** It has one subject only: each publication names the one before it. */
  readonly isExact: boolean;
  /** All up to here are settled: delivered, or from before the following. Undefined before anything is known. */
  #floor: number | undefined;
  /** Made when it is needed: of most keys nothing durable ever comes. */
  #memory: Memory | undefined;
  readonly #start: number | undefined;
  #proposed: number | undefined;
  #hasBegun = false;

  /**
   * `start`: a sequence after which nothing was published before the following began; it may be much older than that.
   * Undefined: none is known.
   */
  constructor(isExact: boolean, start?: number) {
    this.isExact = isExact;
    this.#start = start;
  }

  /** Where to read on; undefined before anything is known. */
  get floor(): number | undefined {
    return this.#floor;
  }

  /** It is known where in the history the following began: all that is stored after that is to be delivered. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Remembered one by one: of a pattern those that are delivered but not yet settled. */
  get unsettled(): number {
    return this.#memory?.deliveredAbove.size ?? 0;
  }

  isDelivered(sequence: number): boolean {
    return (
      (this.#floor !== undefined && sequence <= this.#floor) || this.#memory?.deliveredAbove.has(sequence) === true
    );
  }

  /** Those who follow have it, or it is from before the following. */
  isPast(sequence: number): boolean {
    return this.isDelivered(sequence) || (this.#start !== undefined && sequence <= this.#start);
  }

  /**
   * `previous`: sequence of the publication before it on its subject, 0 when it is the first; as the history says, which was
   * seen to be wrong (0) after the death of a NATS node. So what we delivered last on the subject must be what it names.
   */
  judge(sequence: number, previous: number, subject: string): Verdict {
    if (this.isDelivered(sequence)) return "duplicate";
    const last = this.#memory?.lastOf.get(subject);
    if (last !== undefined) return previous === last ? "deliver" : "gap";
    return this.#floor === undefined || this.isDelivered(previous) ? "deliver" : "gap";
  }

  /** To be called with each that is delivered. */
  delivered(sequence: number, subject: string): void {
    this.#floor ??= sequence - 1;
    this.#memory ??= { deliveredAbove: new Set(), lastOf: new Map() };
    const { deliveredAbove, lastOf } = this.#memory;
    if (lastOf.size >= MAX_SUBJECTS) lastOf.clear();
    lastOf.set(subject, Math.max(sequence, lastOf.get(subject) ?? 0));
    if (this.isExact) this.#raiseFloor(sequence);
    else deliveredAbove.add(sequence);
  }

  /** `end`: of the history, once NATS has the subscription. What came before the answer counts as delivered. */
  begin(end: number): void {
    if (this.#floor === undefined) this.#floor = end;
    this.#hasBegun = true;
  }

  /** All up to `through` have been read from the history, and delivered where they were missing. */
  settle(through: number): void {
    this.#hasBegun = true;
    this.#raiseFloor(through);
  }

  #raiseFloor(through: number): void {
    if (this.#floor !== undefined && through <= this.#floor) return;
    this.#floor = through;
    if (this.#memory === undefined) return;
    const { deliveredAbove } = this.#memory;
    for (const sequence of deliveredAbove) if (sequence <= through) deliveredAbove.delete(sequence);
  }

  /**
   * Where the history ends, for a key about which nothing is known: it counts from the second proposal on, when what was on its
   * way at the first has come.
   */
  propose(end: number): void {
    if (this.#floor !== undefined) return;
    if (this.#proposed === undefined) this.#proposed = end;
    else this.settle(this.#proposed);
  }

  /**
   * The history was made anew: its sequences mean something else. True: all of it is newer than the following. False: the following
   * had not begun, and may be newer than some of it.
   */
  reset(): boolean {
    this.#floor = this.#hasBegun ? 0 : undefined;
    this.#proposed = undefined;
    this.#memory = undefined;
    return this.#hasBegun;
  }
}
