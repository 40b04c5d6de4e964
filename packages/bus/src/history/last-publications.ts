import { setTimeout as delay } from "node:timers/promises";
import type { HistoryState, Position, Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import {
  JetStreamApiCodes,
  type JetStreamManager,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { isApiError } from "../connection/api-error.ts";
import { failureOf } from "./failures.ts";
import type { MessageQuery, StoredMessage } from "./leader-messages.ts";
import { isDescribedByLeader, termOf } from "./leader-requests.ts";
import { StalledSource } from "./stalled-source.ts";

/** Number of publications kept per subject. A client can miss one less and still be proved complete. */
export const KEPT_PER_SUBJECT = 4;
/** Maximum number of new publications that a proof reads. */
const MAX_NEWS = 64;
/**
 * Simultaneous callers with the same question share an answer for this time, because thousands may resume at the same
 * time.
 */
const SHARED_FOR_MS = 200;
const MAX_SHARED = 10_000;
/** Time for which {@link LastPublications.newsSince} retries, because the stream may be without a leader for seconds. */
const NEWS_WITHIN_MS = 5_000;
const NEWS_RETRY_MS = 100;
/** Delay until the next attempt to create the stream. */
const RETRY_AFTER_MS = 10_000;
/** A failure of JetStream that may pass soon, as during a leader election, is retried at once for this time. */
const MAX_PASSING_MS = 15_000;
/**
 * An operator may delete the stream while services run. It may also stall: the source of nats-server 2.9 does not pass
 * a publication whose headers expect the name or a sequence of the history.
 */
const CHECK_EVERY_MS = 30_000;
/** Minimum of JetStream. The history has deduplicated already. */
const DUPLICATE_WINDOW_MS = 100;

type LastPublicationsParts = {
  readonly jsm: JetStreamManager;
  readonly subjects: Subjects;
  readonly replicas: number;
  readonly log: Log;
  /** Requests one message from the leader of the stream. */
  message(query: MessageQuery): Promise<StoredMessage | null>;
  /** Returns the current end of the history, or undefined when it cannot be described now. */
  end(): Promise<Position | undefined>;
  /** Returns the first publication of the history from a sequence on. */
  next(sequence: number): Promise<Pick<StoredMessage, "sequence"> | null>;
  /** Returns messages of the stream from a sequence on, without content; none when they cannot be read now. */
  page(from: number): Promise<SourcedMessage[]>;
};

type SourcedMessage = Pick<StoredMessage, "subject" | "sequence" | "headers">;
type News = {
  /** By history subject: the number of new publications, and whether one of them is older than the history's oldest. */
  readonly bySubject: ReadonlyMap<string, { readonly count: number; readonly isDropped: boolean }>;
  /** Sequence of the history up to which they are known. */
  readonly through: number;
};
type Question = {
  /** History subject, which may hold wildcards. */
  readonly filter: string;
  readonly since: Position;
  /** Oldest sequence that the history still holds. */
  readonly firstSequence: number;
};
/** A message of the stream: its sequence here, and its sequence in the history. */
type Sourced = { readonly subject: string; readonly own: number; readonly parent: number };

/**
 * The last publications of each subject, which outlive the history's limits, in a stream with the history as its
 * source. They prove that a quiet topic lost nothing although busy topics filled the history. The stream is no mirror,
 * because a mirror would answer direct gets of the history.
 */
export class LastPublications {
  readonly #parts: LastPublicationsParts;
  readonly #shared = new Map<string, { readonly at: number; readonly answer: Promise<boolean | undefined> }>();
  #epoch: string | undefined;
  #ensuring: Promise<void> | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;
  #failingSince: number | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  readonly #source = new StalledSource();

  constructor(parts: LastPublicationsParts) {
    this.#parts = parts;
  }

  /**
   * Creates the stream when it is missing or the history was recreated. Checks this from time to time. Without it,
   * fewer replays can be proved. Simultaneous callers share a check.
   */
  ensure(history: Pick<HistoryState, "epoch">): Promise<void> {
    this.#ensuring ??= this.#ensure(history).finally(() => {
      this.#ensuring = undefined;
    });
    return this.#ensuring;
  }

  async #ensure({ epoch }: Pick<HistoryState, "epoch">): Promise<void> {
    const now = performance.now();
    const isChecked = this.#epoch === epoch && now - this.#checkedAt < CHECK_EVERY_MS;
    if (isChecked || this.#hasFailed) return;
    this.#checkedAt = now;
    try {
      const start = await this.#startOfNew(epoch);
      if (start !== undefined) await this.#create(epoch, start);
      this.#epoch = epoch;
      this.#failingSince = undefined;
    } catch (error) {
      this.#failingSince ??= now;
      const { reason, isPassing } = failureOf(error);
      const mayPass = reason === "unavailable" || (isPassing && now - this.#failingSince < MAX_PASSING_MS);
      // Another service created it, or JetStream is away. The next state of the history calls this again.
      if (mayPass || (await this.#isThere(epoch).catch(() => false))) return;
      this.#failedAt = performance.now();
      this.#parts.log.warn({ err: error, stream: this.#name }, "last publications unavailable, quiet topics unproven");
    }
  }

  /** Whether the stream could not be created just now. */
  get #hasFailed(): boolean {
    return performance.now() - this.#failedAt < RETRY_AFTER_MS;
  }

  /**
   * Returns the newest position that this stream records of the history, with its epoch at that time; undefined without
   * the stream. An empty stream still records the epoch in which it was created.
   */
  async newest(): Promise<Position | undefined> {
    const info = await this.#describe();
    const epoch = epochIn(info?.config.description);
    if (info === undefined || epoch === undefined) return undefined;
    const newest = await this.#newestIn(info);
    return { epoch, sequence: newest?.parent ?? 0 };
  }

  /**
   * Resolves with whether the history provably dropped nothing for `filter` after `since`; with undefined when a retry
   * may prove it, for example after a leader election.
   */
  droppedNothing(question: Question): Promise<boolean | undefined> {
    if (this.#epoch !== question.since.epoch) return Promise.resolve(this.#hasFailed ? false : undefined);
    const key = `${question.filter} ${question.since.epoch} ${question.since.sequence} ${question.firstSequence}`;
    const known = this.#shared.get(key);
    if (known !== undefined && performance.now() - known.at < SHARED_FOR_MS) return known.answer;
    if (this.#shared.size >= MAX_SHARED) this.#shared.clear();
    const answer = this.#prove(question).catch(() => undefined);
    this.#shared.set(key, { at: performance.now(), answer });
    return answer;
  }

  async #isThere(epoch: string): Promise<boolean> {
    const info = await this.#describe();
    return info !== undefined && isOf(info, epoch);
  }

  /** Returns the sequence of the history at which a new stream has to begin; undefined if the present one is good. */
  async #startOfNew(epoch: string): Promise<number | undefined> {
    const info = await this.#describe();
    if (info === undefined || !isOf(info, epoch)) return 1;
    if (!this.#source.isStalled(info)) return undefined;
    const newest = await this.#newestIn(info);
    const expected = newest === undefined ? (info.config.sources?.[0]?.opt_start_seq ?? 1) : newest.parent + 1;
    const obstacle = await this.#parts.next(expected);
    const isReplaced = (await this.#describe())?.created !== info.created;
    if (obstacle === null || isReplaced) return undefined;
    const { sequence } = obstacle;
    this.#parts.log.warn(
      { stream: this.#name, sequence },
      "last publications stopped at a publication, leaving it out",
    );
    return sequence + 1;
  }

  async #create(epoch: string, start: number): Promise<void> {
    const { streams } = this.#parts.jsm;
    // An existing one belongs to another history, or is stalled.
    if ((await this.#describe()) !== undefined) await streams.delete(this.#name);
    await streams.add(this.#config(epoch, start));
  }

  get #name(): string {
    return this.#parts.subjects.lastStream;
  }

  /** Returns true only if one leader led the stream throughout, because another may lack the newest message. */
  async #prove({ filter, since, firstSequence }: Question): Promise<boolean | undefined> {
    const known = await this.#knownSince({ since, firstSequence });
    if (known === undefined) return false;
    const hasLost = await this.#hasLost({ filter, since, firstSequence }, known.skipped);
    if (hasLost !== false) return false;
    const after = await this.#describe();
    return after !== undefined && termOf(after) === known.term ? true : undefined;
  }

  /**
   * Returns the newest message and the number of publications that the stream has skipped; undefined unless it has
   * received everything between `since` and the oldest publication of the history.
   */
  async #knownSince({ since, firstSequence }: Omit<Question, "filter">) {
    const info = await this.#describe();
    if (info === undefined) this.#checkedAt = Number.NEGATIVE_INFINITY;
    if (info === undefined || !isOf(info, since.epoch) || !isWhole(info.config)) return undefined;
    const newest = await this.#newestIn(info);
    // The stream must have received everything that the history has dropped.
    if (newest === undefined || newest.parent < firstSequence - 1) return undefined;
    if (!(await this.#isOfThisEpoch(newest, since))) return undefined;
    const skipped = newest.parent - newest.own;
    // The stream received more than the history has stored, so some of it is of an earlier epoch.
    if (skipped < 0) return undefined;
    if (skipped > 0 && !(await this.#isDenseSince(since.sequence, skipped))) return undefined;
    return { newest, skipped, term: termOf(info) };
  }

  /** Whether the newest message here is of this epoch. Beyond the end of the history it is of an earlier one. */
  async #isOfThisEpoch(newest: Sourced, since: Position): Promise<boolean> {
    const end = await this.#parts.end();
    if (end === undefined) throw new Error("the history cannot be described");
    return end.epoch === since.epoch && newest.parent <= end.sequence;
  }

  /**
   * Whether the stream skipped nothing since a sequence. It numbers its messages without gaps, so the distance to the
   * numbers of the history stays the same while nothing is skipped.
   */
  async #isDenseSince(sequence: number, skipped: number): Promise<boolean> {
    const oldest = sourceOf(await this.#parts.message({ seq: 1, next_by_subj: ">" }));
    return oldest !== undefined && oldest.parent <= sequence && oldest.parent - oldest.own === skipped;
  }

  /** Whether the history dropped a publication after `since`; undefined when there are too many to know. */
  async #hasLost({ filter, since, firstSequence }: Question, skipped: number): Promise<boolean | undefined> {
    const counts = new Map<string, number>();
    let seq = Math.max(1, since.sequence + 1 - skipped);
    for (let read = 0; read < MAX_NEWS; read++) {
      const message = sourceOf(await this.#parts.message({ seq, next_by_subj: filter }));
      if (message === undefined) return false;
      if (message.parent < firstSequence) return true;
      const count = (counts.get(message.subject) ?? 0) + 1;
      // Newer ones may have replaced older ones here.
      if (count >= KEPT_PER_SUBJECT) return undefined;
      counts.set(message.subject, count);
      seq = message.own + 1;
    }
    return undefined;
  }

  /**
   * Returns the new publications after a position, and at least up to a sequence; undefined when this cannot be proved,
   * also after retries.
   */
  async newsSince(question: Omit<Question, "filter"> & { readonly upTo: number }): Promise<News | undefined> {
    const deadline = performance.now() + NEWS_WITHIN_MS;
    for (;;) {
      try {
        return await this.#readNews(question);
      } catch {
        if (performance.now() > deadline) return undefined;
        await delay(NEWS_RETRY_MS, undefined, { ref: false });
      }
    }
  }

  async #readNews({ since, firstSequence, upTo }: Parameters<LastPublications["newsSince"]>[0]) {
    const known = await this.#knownSince({ since, firstSequence });
    if (known === undefined) return undefined;
    const { newest, skipped } = known;
    if (newest.parent < upTo) throw new Error("the stream is behind the history");
    const bySubject = new Map<string, { count: number; isDropped: boolean }>();
    for (let from = Math.max(1, since.sequence + 1 - skipped); from <= newest.own; ) {
      const page = await this.#parts.page(from);
      if (page.length === 0) throw new Error("the stream cannot be read");
      for (const { subject, parent, own } of page.flatMap((each) => sourceOf(each) ?? [])) {
        const before = bySubject.get(subject) ?? { count: 0, isDropped: false };
        bySubject.set(subject, { count: before.count + 1, isDropped: before.isDropped || parent < firstSequence });
        from = Math.max(from, own + 1);
      }
    }
    return { bySubject, through: newest.parent };
  }

  /**
   * Returns the newest message. An empty stream is not asked for it: nats-server 2.9 describes a stream while it
   * creates it, and crashes when it is asked for a message then.
   */
  async #newestIn({ state }: StreamInfo): Promise<Sourced | undefined> {
    if (state.messages === 0) return undefined;
    const { message, subjects } = this.#parts;
    return sourceOf(await message({ last_by_subj: subjects.allHistory }));
  }

  async #describe(): Promise<StreamInfo | undefined> {
    try {
      const info = await this.#parts.jsm.streams.info(this.#name);
      if (!isDescribedByLeader(info)) throw new Error("no leader");
      return info;
    } catch (error) {
      if (isApiError(error, JetStreamApiCodes.StreamNotFound)) return undefined;
      throw error;
    }
  }

  #config(epoch: string, start: number): Pick<StreamConfig, "name"> & Partial<StreamConfig> {
    const begin = start > 1 && { opt_start_seq: start };
    return {
      name: this.#name,
      description: descriptionOf(epoch),
      sources: [{ name: this.#parts.subjects.historyStream, ...begin }],
      max_msgs_per_subject: KEPT_PER_SUBJECT,
      storage: StorageType.File,
      num_replicas: this.#parts.replicas,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      // Without its last publications, a subject looks as if nothing had been published to it.
      deny_delete: true,
      deny_purge: true,
    };
  }
}

/** `Nats-Stream-Source` is `<stream> <sequence>`; newer servers add more words. */
function sourceOf(message: SourcedMessage | null): Sourced | undefined {
  const [, sequence] = message?.headers?.get("Nats-Stream-Source").split(" ") ?? [];
  const parent = Number(sequence);
  if (!message || !sequence || !Number.isSafeInteger(parent)) return undefined;
  return { subject: message.subject, own: message.sequence, parent };
}

const DESCRIPTION = "The last publications of each subject of the history ";

function descriptionOf(epoch: string): string {
  return `${DESCRIPTION}${epoch}`;
}

function epochIn(description = ""): string | undefined {
  return description.startsWith(DESCRIPTION) ? description.slice(DESCRIPTION.length) : undefined;
}

function isOf({ config }: StreamInfo, epoch: string): boolean {
  return config.description === descriptionOf(epoch);
}

/** Whether only newer publications of the same subject remove a message. */
function isWhole({ max_bytes, max_msgs, max_age, max_msgs_per_subject }: StreamConfig): boolean {
  return max_bytes <= 0 && max_msgs <= 0 && max_age <= 0 && max_msgs_per_subject >= KEPT_PER_SUBJECT;
}
