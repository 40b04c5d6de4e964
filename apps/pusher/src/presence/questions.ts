import type { Bus } from "@fanwire/bus";
import type { PresenceAnswer, PresenceAsk, PresentUser, Subjects } from "@fanwire/protocol";

/** Maximum topics of one question, and characters of their names, which have at most six bytes each in JSON. */
const TOPICS_PER_QUESTION = 500;
const QUESTION_LENGTH = 16_384;
/** Divisor of the `max_payload` of NATS. The smaller limit counts. */
const QUESTION_DIVISOR = 16;
/** A question is asked again after this time without an answer. */
const ANSWER_WITHIN_MS = 2_000;

type Question = {
  readonly id: number;
  readonly topics: ReadonlySet<string>;
  /** When it was sent, or when the last page of the answer arrived. */
  at: number;
  readonly answered: Set<string>;
  /** Users in pages of a topic that is not complete. */
  readonly parts: Map<string, Map<string, PresentUser>>;
  /** The last announcement of topics that arrived before the answer and could not be applied. */
  readonly announced: Map<string, number>;
};

type QuestionsParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  /** The worker that is asked. */
  readonly peerId: string;
  /** Called with all users of the worker on a topic. */
  onSnapshot(topic: string, counter: number, users: ReadonlyMap<string, PresentUser>): void;
  /** Called with a topic without users of the worker. Announcements after `clock` are newer. */
  onNone(topic: string, clock: number): void;
  /** Called after `onSnapshot` or `onNone` for each topic that was asked for. */
  onAnswered(topic: string): void;
  /** Called with each question. */
  onAsk(): void;
};

/**
 * Questions to one worker for its users on topics. One question at a time is under way, so that a slow worker is asked
 * less. Topics for which clients wait come first.
 */
export class Questions {
  readonly #parts: QuestionsParts;
  readonly #urgent = new Set<string>();
  readonly #wanted = new Set<string>();
  #question: Question | undefined;
  #lastId = 0;
  #isScheduled = false;
  /** Whether the worker did not answer in time. */
  isSilent = false;

  constructor(parts: QuestionsParts) {
    this.#parts = parts;
  }

  /** Asks for a topic, at the end of this tick. */
  want(topic: string, { isUrgent }: { readonly isUrgent: boolean }): void {
    (isUrgent ? this.#urgent : this.#wanted).add(topic);
    if (isUrgent) this.#wanted.delete(topic);
    this.#schedule();
  }

  /** Forgets a topic that has no clients any longer. */
  forget(topic: string): void {
    this.#urgent.delete(topic);
    this.#wanted.delete(topic);
  }

  /**
   * Handles an announcement that cannot be applied without the answer. Asks unless the answer is on its way. Returns
   * whether it asks.
   */
  noteAnnounced(topic: string, counter: number): boolean {
    const question = this.#question;
    if (question?.topics.has(topic) && !question.answered.has(topic)) {
      question.announced.set(topic, counter);
      return false;
    }
    if (this.#urgent.has(topic) || this.#wanted.has(topic)) return false;
    this.want(topic, { isUrgent: false });
    return true;
  }

  /** Asks again if the answer is late. Must be called regularly. */
  check(): void {
    const { at } = this.#question ?? { at: Number.POSITIVE_INFINITY };
    if (performance.now() - at < ANSWER_WITHIN_MS) return;
    this.restart();
    this.isSilent = true;
  }

  /** Asks again, because the question or its answer may be lost. */
  restart(): void {
    this.isSilent = false;
    const question = this.#question;
    this.#question = undefined;
    for (const topic of question?.topics ?? []) {
      if (!question?.answered.has(topic) && !this.#urgent.has(topic)) this.#wanted.add(topic);
    }
    this.#schedule();
  }

  /** Handles one page of an answer. */
  receive({ id, clock, snapshots, isLast }: PresenceAnswer): void {
    this.isSilent = false;
    const question = this.#question;
    // A late page of an earlier question is not needed, because the question was asked again.
    if (question?.id !== id) return;
    question.at = performance.now();
    for (const { topic, counter, users, isPart } of snapshots) {
      if (!question.topics.has(topic)) continue;
      const all = question.parts.get(topic) ?? new Map<string, PresentUser>();
      for (const present of users) all.set(present.user, present);
      if (isPart) {
        question.parts.set(topic, all);
        continue;
      }
      question.parts.delete(topic);
      this.#parts.onSnapshot(topic, counter, all);
      this.#finish(question, topic, counter);
    }
    if (isLast) this.#end(question, clock);
  }

  #end(question: Question, clock: number): void {
    for (const topic of question.topics) {
      if (question.answered.has(topic)) continue;
      this.#parts.onNone(topic, clock);
      this.#finish(question, topic, clock);
    }
    this.#question = undefined;
    this.#askNext();
  }

  #finish(question: Question, topic: string, counter: number): void {
    question.answered.add(topic);
    if ((question.announced.get(topic) ?? 0) > counter) this.want(topic, { isUrgent: false });
    this.#parts.onAnswered(topic);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#question !== undefined) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#question === undefined) this.#askNext();
    });
  }

  #askNext(): void {
    const { bus, subjects, workerId: worker, peerId } = this.#parts;
    const topics = this.#takeWanted();
    if (topics.size === 0) return;
    this.#lastId++;
    const id = this.#lastId;
    const ask: PresenceAsk = { kind: "ask", worker, id, topics: [...topics] };
    // If NATS is unreachable, the question is late and is asked again.
    bus.send(subjects.presenceWorker(peerId), Buffer.from(JSON.stringify(ask)));
    this.#parts.onAsk();
    this.#question = {
      id,
      topics,
      at: performance.now(),
      answered: new Set(),
      parts: new Map(),
      announced: new Map(),
    };
  }

  #takeWanted(): Set<string> {
    const topics = new Set<string>();
    let length = 0;
    const maxLength = Math.min(QUESTION_LENGTH, this.#parts.bus.maxPayloadBytes() / QUESTION_DIVISOR);
    for (const source of [this.#urgent, this.#wanted]) {
      for (const topic of source) {
        if (topics.size >= TOPICS_PER_QUESTION || length > maxLength) return topics;
        topics.add(topic);
        length += topic.length;
        source.delete(topic);
      }
    }
    return topics;
  }
}
