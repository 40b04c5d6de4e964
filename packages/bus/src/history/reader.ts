import { setTimeout as delay } from "node:timers/promises";
import type { Subjects } from "@fanwire/protocol";
import type { ConsumerAPI, JetStreamManager } from "@nats-io/jetstream";
import type { NatsBus } from "../connection/nats-bus.ts";
import { type Failed, failureOf } from "./failures.ts";
import type { DescribedHistory, HistoryFailure, Outcome, ReadOutcome, ReadRequest } from "./history.ts";
import type { MessageQuery, StoredMessage } from "./leader-messages.ts";
import { Page } from "./page.ts";
import { type Range, type RangeMessage, readRange } from "./range-consumer.ts";
import type { OpenStream } from "./stream.ts";
import type { StreamWatch } from "./stream-state.ts";

/** Number of messages read singly. A consumer pays off only for more, and most resuming clients missed few. */
const SINGLE_READS = 4;
/** Maximum time of retries after temporary failures. A caller that can wait longer calls again. */
const DEADLINE_MS = 5_000;
const PAUSE_MS = 250;
/** Maximum number of subjects that are counted singly. A description of all may have megabytes. */
const MAX_SINGLE_COUNTS = 64;
/** Pause after a consumer could not be created. */
const NO_CONSUMERS_MS = 10_000;

/** Maximum number of leader terms in which one read is tried. */
const MAX_TERMS = 3;

const EVERYTHING = ">";

type ReaderParts = {
  readonly bus: NatsBus;
  readonly jsm: JetStreamManager;
  /** Requests one message from the stream's leader. */
  message(query: MessageQuery): Promise<StoredMessage | null>;
  /** Has a shorter timeout, because messages can be read singly instead. */
  readonly consumers: ConsumerAPI;
  readonly watch: StreamWatch;
  readonly subjects: Subjects;
};
type Answer<Result> = Outcome<{ readonly result: Result }>;

/**
 * Reads stored publications from the history's leader. "End of history" is trusted only if the same leader answered
 * throughout, and only up to the end known before the read. An outdated node would hide publications.
 */
export class HistoryReader {
  readonly #bus: NatsBus;
  readonly #jsm: JetStreamManager;
  readonly #consumers: ConsumerAPI;
  readonly #watch: StreamWatch;
  readonly #subjects: Subjects;
  readonly #message: ReaderParts["message"];
  #noConsumersUntil = 0;

  constructor({ bus, jsm, message, consumers, watch, subjects }: ReaderParts) {
    this.#message = message;
    this.#bus = bus;
    this.#jsm = jsm;
    this.#consumers = consumers;
    this.#watch = watch;
    this.#subjects = subjects;
  }

  async read(request: ReadRequest): Promise<ReadOutcome> {
    const { upTo = 0, signal } = request;
    for (let attempt = 1; attempt <= MAX_TERMS; attempt++) {
      const known = this.#watch.current;
      const before = known !== undefined && known.history.lastSequence >= upTo ? known : await this.#describe(signal);
      if (!before.ok) return before;
      const page = new Page(request, this.#subjects);
      const end = await this.#fill(page, request);
      if (!end.ok) return end;

      // Described after the last publication was read, so that anything dropped before then shows.
      const after = await this.#describe(signal);
      if (!after.ok) return after;
      const { publications, through } = page;
      const { history } = after;
      const unreadFrom = end.result ?? through + 1;
      const unread = Math.max(0, history.lastSequence + 1 - unreadFrom);
      if (end.result === undefined) return { ok: true, publications, through, isEnd: false, unread, history };
      // A former leader that hung answers until it learns of its successor, so its end of the history proves nothing.
      if (after.term !== before.term) continue;
      return {
        ok: true,
        publications,
        through: Math.max(through, before.history.lastSequence),
        isEnd: true,
        unread,
        history,
      };
    }
    return { ok: false, reason: "unusable", detail: "the history's leader changes again and again" };
  }

  async state(signal?: AbortSignal): Promise<Outcome<DescribedHistory>> {
    const opened = await this.#describe(signal);
    return opened.ok ? { ok: true, history: opened.history, hasCopies: opened.hasCopies } : opened;
  }

  async count(subject: string): Promise<Outcome<{ readonly count: number }>> {
    const counted = await this.#countOf(subject);
    return counted.ok ? { ok: true, count: counted.counts.get(subject) ?? 0 } : counted;
  }

  /** Returns the number of stored publications of each subject, at least of the named ones if there are any. */
  async counts(
    subjects: readonly string[] | undefined,
  ): Promise<Outcome<{ readonly counts: ReadonlyMap<string, number> }>> {
    if (subjects === undefined || subjects.length > MAX_SINGLE_COUNTS) return this.#countOf(this.#subjects.allHistory);
    const counts = new Map<string, number>();
    for (const counted of await Promise.all(subjects.map((subject) => this.#countOf(subject)))) {
      if (!counted.ok) return counted;
      for (const [subject, count] of counted.counts) counts.set(subject, count);
    }
    return { ok: true, counts };
  }

  async #countOf(filter: string): Promise<Outcome<{ readonly counts: ReadonlyMap<string, number> }>> {
    const { historyStream } = this.#subjects;
    const answer = await this.#ask(() => this.#jsm.streams.info(historyStream, { subjects_filter: filter }), undefined);
    return answer.ok ? { ok: true, counts: new Map(Object.entries(answer.result.state.subjects ?? {})) } : answer;
  }

  /** The one message that a query of the leader names, if it is stored. */
  get(query: MessageQuery, signal?: AbortSignal): Promise<Answer<StoredMessage | null>> {
    return this.#ask(async () => ((await this.#isEmpty()) ? null : this.#message(query)), signal);
  }

  /** An empty stream is not asked for a message: nats-server 2.9 crashes when it still creates the stream. */
  async #isEmpty(): Promise<boolean> {
    if ((this.#watch.current?.history.lastSequence ?? 0) > 0) return false;
    const opened = await this.#watch.refresh();
    return opened.ok && opened.history.lastSequence === 0;
  }

  /**
   * Returns the sequence of the first publication that was stored beyond the end; `Infinity` if none was, undefined when
   * the page is full before the end.
   */
  async #fill(page: Page, request: ReadRequest): Promise<Answer<number | undefined>> {
    const { withoutContent = false, signal } = request;
    // With a filter, be it one for all, nats-server 2.9 looks through many subjects for each message.
    const filter = request.filter === this.#subjects.allHistory ? undefined : request.filter;
    let end = Number.POSITIVE_INFINITY;
    for (let reads = 1; !page.isFull; reads++) {
      // Each iteration requests one message from the leader, so that a consumer on an outdated replica can neither
      // delay this nor end it too soon.
      const next = await this.get({ seq: page.through + 1, next_by_subj: filter ?? EVERYTHING }, signal);
      if (!next.ok) return next;
      if (next.result === null) return { ok: true, result: Number.POSITIVE_INFINITY };
      if (next.result.sequence > end) return { ok: true, result: next.result.sequence };
      page.addStored(next.result);

      if (reads < SINGLE_READS || page.isFull) continue;
      if (reads === SINGLE_READS) {
        // Under load something new is stored by the time the rest has come, and an end that moves may never be reached.
        const state = await this.state(signal);
        if (!state.ok) return state;
        end = state.history.lastSequence;
      }
      if (performance.now() < this.#noConsumersUntil) continue;
      for (const message of await this.#range(page, { filter, withoutContent })) page.addDelivered(message);
    }
    return { ok: true, result: undefined };
  }

  /**
   * Reads through a consumer. Returns nothing when none can be created; then messages are read singly from the leader.
   */
  async #range(page: Page, request: Pick<Range, "filter" | "withoutContent">): Promise<RangeMessage[]> {
    try {
      const [known, ...rest] = await readRange(this.#bus, this.#consumers, {
        ...request,
        stream: this.#subjects.historyStream,
        // Begins with the last message from the leader, so that a consumer on an outdated node, which begins later, is
        // detected.
        from: page.through,
        maxMessages: page.room + 1,
        maxBytes: page.roomBytes,
      });
      return known?.sequence === page.through ? rest : [];
    } catch {
      // JetStream may place the consumer on a dead node, and then never answers.
      this.#noConsumersUntil = performance.now() + NO_CONSUMERS_MS;
      return [];
    }
  }

  #ask<Result>(request: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Answer<Result>> {
    return this.#retryWhilePassing(async () => {
      try {
        const opened = this.#watch.current ?? (await this.#watch.refresh());
        return opened.ok ? { ok: true, result: await request() } : opened;
      } catch (error) {
        this.#watch.doubt();
        return failureOf(error);
      }
    }, signal);
  }

  #describe(signal: AbortSignal | undefined): Promise<OpenStream | HistoryFailure> {
    return this.#retryWhilePassing(() => this.#watch.refresh(), signal);
  }

  /** Repeats `work` after temporary failures, for a limited time. */
  async #retryWhilePassing<Done extends { readonly ok: true }>(
    work: () => Promise<Done | Failed>,
    signal: AbortSignal | undefined,
  ): Promise<Done | HistoryFailure> {
    const deadline = performance.now() + DEADLINE_MS;
    for (;;) {
      signal?.throwIfAborted();
      if (!this.#bus.isUsable) return { ok: false, reason: "unavailable", detail: "NATS cannot be reached" };
      const done = await work();
      if (done.ok) return done;
      const isOver = performance.now() + PAUSE_MS > deadline;
      if (!done.isPassing || isOver) return { ok: false, reason: done.reason, detail: done.detail };
      await delay(PAUSE_MS, undefined, { ...(signal && { signal }) });
    }
  }
}
