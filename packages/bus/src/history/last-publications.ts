import type { HistoryState, Position, Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { failureOf } from "./failures.ts";
import type { MessageQuery, StoredMessage } from "./leader-messages.ts";
import { isDescribedByLeader } from "./leader-requests.ts";

/** Number of publications kept per subject. A client can miss one less and still be proven complete. */
export const KEPT_PER_SUBJECT = 4;
/** Maximum number of new publications that a proof reads. */
const MAX_NEWS = 64;
/** Simultaneous callers with the same question share an answer for this time, because thousands may resume at once. */
const SHARED_FOR_MS = 200;
const MAX_SHARED = 10_000;
/** Delay until the next attempt to create the stream. */
const RETRY_AFTER_MS = 10_000;
/** Minimum of JetStream. The history has deduplicated already. */
const DUPLICATE_WINDOW_MS = 100;

type LastPublicationsParts = {
  readonly jsm: JetStreamManager;
  readonly subjects: Subjects;
  readonly replicas: number;
  readonly log: Log;
  /** Requests one message from the leader of the stream. */
  message(query: MessageQuery): Promise<StoredMessage | null>;
  /** Returns the current end of the history, or undefined when it cannot be described. */
  end(): Promise<Position | undefined>;
  /** Returns messages of the stream from a sequence on, without content; none when they cannot be read now. */
  page(from: number): Promise<SourcedMessage[]>;
};

type SourcedMessage = Pick<StoredMessage, "subject" | "sequence" | "headers">;
type News = { readonly count: number; readonly isDropped: boolean };
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
  readonly #shared = new Map<string, { readonly at: number; readonly answer: Promise<boolean> }>();
  #epoch: string | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: LastPublicationsParts) {
    this.#parts = parts;
  }

  /** Creates the stream when it is missing or the history was recreated. Without it, fewer replays can be proven. */
  async ensure({ epoch }: Pick<HistoryState, "epoch">): Promise<void> {
    if (this.#epoch === epoch || performance.now() - this.#failedAt < RETRY_AFTER_MS) return;
    try {
      if (!(await this.#isThere(epoch))) await this.#create(epoch);
      this.#epoch = epoch;
    } catch (error) {
      // Another service created it, or the connection was lost. The next state of the history calls this again.
      if (failureOf(error).reason === "unavailable" || (await this.#isThere(epoch).catch(() => false))) return;
      this.#failedAt = performance.now();
      this.#parts.log.warn({ err: error, stream: this.#name }, "last publications unavailable, quiet topics unproven");
    }
  }

  /**
   * Returns the newest publication that came from the history, with its epoch at that time; undefined when there is
   * none.
   */
  async newest(): Promise<Position | undefined> {
    const info = await this.#describe();
    const epoch = epochIn(info?.config.description);
    if (info === undefined || epoch === undefined) return undefined;
    const newest = await this.#newestIn(info);
    return newest && { epoch, sequence: newest.parent };
  }

  /** Resolves with true when the history provably dropped nothing for `filter` after `since`. */
  droppedNothing(question: Question): Promise<boolean> {
    if (this.#epoch !== question.since.epoch) return Promise.resolve(false);
    const key = `${question.filter} ${question.since.epoch} ${question.since.sequence} ${question.firstSequence}`;
    const known = this.#shared.get(key);
    if (known !== undefined && performance.now() - known.at < SHARED_FOR_MS) return known.answer;
    if (this.#shared.size >= MAX_SHARED) this.#shared.clear();
    const answer = this.#prove(question).catch(() => false);
    this.#shared.set(key, { at: performance.now(), answer });
    return answer;
  }

  async #isThere(epoch: string): Promise<boolean> {
    const info = await this.#describe();
    return info !== undefined && isOf(info, epoch);
  }

  async #create(epoch: string): Promise<void> {
    const { streams } = this.#parts.jsm;
    // An existing one belongs to another history.
    if ((await this.#describe()) !== undefined) await streams.delete(this.#name);
    await streams.add(this.#config(epoch));
  }

  get #name(): string {
    return this.#parts.subjects.lastStream;
  }

  /** Proves it only if one leader led the stream throughout, because another may not know the newest message yet. */
  async #prove({ filter, since, firstSequence }: Question): Promise<boolean> {
    const before = await this.#describe();
    if (before === undefined || !isOf(before, since.epoch) || !isWhole(before.config)) return false;
    const newest = await this.#newestIn(before);
    // The stream must have received everything that the history has dropped.
    if (newest === undefined || newest.parent < firstSequence - 1) return false;
    if (!(await this.#isOfThisEpoch(newest, since))) return false;
    const skipped = newest.parent - newest.own;
    // The stream received more than the history has stored, so some of it is of an earlier epoch.
    if (skipped < 0) return false;
    const isDense = skipped === 0 || (await this.#isDenseSince(since.sequence, skipped));
    const hasLost = isDense && (await this.#hasLost({ filter, since, firstSequence }, skipped));
    const after = await this.#describe();
    return isDense && hasLost === false && after !== undefined && termOf(after) === termOf(before);
  }

  /** Whether the newest message here is of this epoch. Beyond the end of the history it is of an earlier one. */
  async #isOfThisEpoch(newest: Sourced, since: Position): Promise<boolean> {
    const end = await this.#parts.end();
    return end?.epoch === since.epoch && newest.parent <= end.sequence;
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
   * Returns the subjects with publications after a position, the number of these here, and whether one of them is older
   * than the history's oldest; undefined when this cannot be proven.
   */
  async newsSince({ since, firstSequence }: Omit<Question, "filter">): Promise<ReadonlyMap<string, News> | undefined> {
    const info = await this.#describe();
    if (info === undefined || !isOf(info, since.epoch) || !isWhole(info.config)) return undefined;
    const newest = await this.#newestIn(info);
    if (newest === undefined || newest.parent < firstSequence - 1) return undefined;
    if (!(await this.#isOfThisEpoch(newest, since))) return undefined;
    const skipped = newest.parent - newest.own;
    if (skipped < 0) return undefined;
    if (skipped > 0 && !(await this.#isDenseSince(since.sequence, skipped))) return undefined;
    const news = new Map<string, News>();
    for (let from = Math.max(1, since.sequence + 1 - skipped); from <= newest.own; ) {
      const page = await this.#parts.page(from);
      if (page.length === 0) return undefined;
      for (const { subject, parent, own } of page.flatMap((each) => sourceOf(each) ?? [])) {
        const before = news.get(subject) ?? { count: 0, isDropped: false };
        news.set(subject, { count: before.count + 1, isDropped: before.isDropped || parent < firstSequence });
        from = Math.max(from, own + 1);
      }
    }
    return news;
  }

  /**
   * Returns the newest message. An empty stream is not asked for it: nats-server 2.9 describes a stream while it creates
   * it, and crashes when it is asked for a message then.
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
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
      throw error;
    }
  }

  #config(epoch: string): Pick<StreamConfig, "name"> & Partial<StreamConfig> {
    return {
      name: this.#name,
      description: descriptionOf(epoch),
      sources: [{ name: this.#parts.subjects.historyStream }],
      max_msgs_per_subject: KEPT_PER_SUBJECT,
      storage: StorageType.File,
      num_replicas: this.#parts.replicas,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
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

function termOf({ created, cluster }: StreamInfo & { cluster?: { leader_since?: string } | undefined }): string {
  return [created, cluster?.leader, cluster?.leader_since].join(" ");
}
