import type { History } from "@fanwire/bus";
import { formatPosition, isProvablyComplete, type Position, type Subjects } from "@fanwire/protocol";
import type { Connection } from "./connection.ts";
import type { Edge } from "./edge.ts";
import type { Listening } from "./listening.ts";
import type { LogFollower } from "./log-follower.ts";

/** The history is read for one key at most so often, however many connections ask. */
const RENEW_AFTER_MS = 5_000;
const PAGE_LIMIT = 500;

type StandingParts = {
  readonly history: History;
  readonly subjects: Subjects;
  readonly edge: Edge;
  readonly follower: LogFollower<Listening>;
};

/**
 * Where connections provably stand, so that a quiet one's position does not grow old. Known at once or not at all: asking
 * has what is needed read for the next time.
 */
export class Standing {
  readonly #parts: StandingParts;
  /** All that was ever stored for a key up to here has been delivered. */
  readonly #proofs = new WeakMap<Listening, Position>();
  readonly #askedAt = new WeakMap<Listening, number>();

  constructor(parts: StandingParts) {
    this.#parts = parts;
  }

  /**
   * Never beyond something that was not delivered to it: the oldest proof among all that it hears. What it began to follow
   * after a proof was made it was promised from then on only; what it catches up with is not heard yet, and nothing is said.
   */
  of(connection: Connection): string | undefined {
    const { edge, follower } = this.#parts;
    const { epoch } = follower;
    const heard = edge.heardBy(connection);
    if (heard === undefined || epoch === undefined) return undefined;
    for (const listening of heard) this.#renew(listening);
    const proofs = heard.map((listening) => this.#proofs.get(listening));
    if (proofs.some((proof) => proof?.epoch !== epoch)) return undefined;
    return formatPosition({ epoch, sequence: Math.min(...proofs.map((proof) => proof?.sequence ?? 0)) });
  }

  #renew(listening: Listening): void {
    const { epoch, lastSequence } = this.#parts.follower;
    const { floor } = listening.sequence;
    const proof = this.#proofs.get(listening);
    if (epoch === undefined || floor === undefined || proof?.sequence === lastSequence) return;
    const now = performance.now();
    if (now - (this.#askedAt.get(listening) ?? Number.NEGATIVE_INFINITY) < RENEW_AFTER_MS) return;
    this.#askedAt.set(listening, now);
    const sequence = proof?.epoch === epoch ? Math.max(proof.sequence, floor) : floor;
    void this.#prove(listening, { epoch, sequence }, lastSequence);
  }

  /** `stored` is in the history already: what is read from now on holds all up to it that was not dropped. */
  async #prove(listening: Listening, since: Position, stored: number): Promise<void> {
    const { history, subjects, follower } = this.#parts;
    const filter = subjects.historyOf(listening.key);
    if (filter === undefined) return;
    const page = await history.read({ filter, after: since.sequence, upTo: stored, limit: PAGE_LIMIT });
    if (!page.ok || !page.isEnd || page.through < stored || follower.epoch !== since.epoch) return;

    const counts = new Map<string, number>();
    for (const { subject } of page.publications) counts.set(subject, (counts.get(subject) ?? 0) + 1);
    const isComplete = isProvablyComplete({ since, counts, history: page.history });
    const areDelivered = page.publications.every(({ sequence }) => listening.sequence.isDelivered(sequence));
    if (isComplete && areDelivered) this.#proofs.set(listening, { epoch: since.epoch, sequence: stored });
  }
}
