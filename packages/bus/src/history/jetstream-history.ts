import { type HistoryState, limitSince, type MissingReason, type Position, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { type ConsumerAPI, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { BusMessage, BusSubscription, HeaderEntries } from "../connection/bus.ts";
import { CoalescedRequest } from "../connection/coalesced-request.ts";
import type { HeaderBlock } from "../connection/header-block.ts";
import type { NatsBus } from "../connection/nats-bus.ts";
import type { HistoryConfig } from "../connection/settings.ts";
import { HistoryAppender } from "./appender.ts";
import { describeStream } from "./description.ts";
import { DirectGet } from "./direct-get.ts";
import { EntryConsumer, type EntryReceiver } from "./entry-consumer.ts";
import { failureOf } from "./failures.ts";
import type {
  AppendOutcome,
  DescribedHistory,
  History,
  LostPublications,
  LostSubjects,
  Outcome,
  ReadOutcome,
  ReadReplay,
  ReadRequest,
  StoredPublication,
  StreamDescription,
} from "./history.ts";
import { KEPT_PER_SUBJECT, LastPublications } from "./last-publications.ts";
import { leaderMessage, type MessageQuery } from "./leader-messages.ts";
import { askingLeaders } from "./leader-requests.ts";
import { lostSubjectsOf } from "./lost-subjects.ts";
import { fromStored } from "./page.ts";
import { reasonOf } from "./proof-facts.ts";
import { readRange } from "./range-consumer.ts";
import { HistoryReader } from "./reader.ts";
import { HistoryStream } from "./stream.ts";
import { type KnownPublication, StreamWatch } from "./stream-state.ts";

/** JetStream answers at once, or not at all when its leader died. */
const REQUEST_TIMEOUT_MS = 2_000;
const SHORT_TIMEOUT_MS = 1_000;
/** Interval at which a service that consumes the history describes it, also if nobody publishes or resumes. */
const DESCRIBE_EVERY_MS = 60_000;
/** Number of publications in one read of what a consumer skipped, and maximum number of such reads. */
const SKIPPED_PAGE = 500;
const MAX_SKIPPED_PAGES = 20;

type HistoryParts = {
  readonly bus: NatsBus;
  readonly subjects: Subjects;
  /** Limits of the stream, used when this service creates it. */
  readonly config: HistoryConfig;
  readonly log: Log;
};

/**
 * Opens the history, also before the bus is connected: every answer is `unavailable` until then. Sends no request to
 * JetStream.
 */
export async function openJetStreamHistory(parts: HistoryParts): Promise<JetStreamHistory> {
  const connection = askingLeaders(parts.bus);
  const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });
  const impatient = await jetstreamManager(connection, { checkAPI: false, timeout: SHORT_TIMEOUT_MS });
  return new JetStreamHistory(parts, { connection, jsm, impatient });
}

type JetStreamApi = {
  readonly connection: NatsConnection;
  readonly jsm: JetStreamManager;
  /** Requests with a short wait for the answer. */
  readonly impatient: JetStreamManager;
};

export class JetStreamHistory implements History {
  readonly #bus: NatsBus;
  readonly #consumers: ConsumerAPI;
  readonly #direct: DirectGet;
  readonly #last: LastPublications;
  readonly #watch: StreamWatch;
  readonly #appender: HistoryAppender;
  readonly #reader: HistoryReader;
  readonly #subjects: Subjects;
  /** The last consumer, and the epoch in which it was created. */
  #reading: { readonly epoch: string; readonly consumer: EntryConsumer } | undefined;
  readonly #description: CoalescedRequest<Outcome<{ readonly stream: StreamDescription }>>;
  /** Advisories of JetStream about each edit of the stream. */
  readonly #edits: BusSubscription;

  constructor({ bus, subjects, config, log }: HistoryParts, api: JetStreamApi) {
    const { connection, jsm, impatient } = api;
    const { consumers } = impatient;
    this.#bus = bus;
    this.#consumers = consumers;
    this.#subjects = subjects;
    const messageOf = (stream: string) => (query: MessageQuery) =>
      leaderMessage(connection, stream, query, REQUEST_TIMEOUT_MS);
    const message = messageOf(subjects.historyStream);
    const next = (sequence: number) => message({ seq: sequence, next_by_subj: subjects.allHistory });
    this.#watch = new StreamWatch({
      stream: new HistoryStream(jsm, subjects, config, log),
      log,
      disconnects: () => bus.disconnects,
      newestRecorded: () => this.#last.newest(),
      consumed: () => this.#consumed(),
      next,
      onEpoch: (epoch) => this.#onEpoch(epoch),
    });
    this.#appender = new HistoryAppender(bus, this.#watch, subjects.historyStream);
    this.#direct = new DirectGet(bus, subjects);
    this.#reader = new HistoryReader({ bus, jsm, message, consumers, watch: this.#watch, subjects });
    this.#description = new CoalescedRequest(() => describeStream(impatient, subjects));
    this.#last = new LastPublications({
      jsm,
      subjects,
      replicas: config.replicas,
      log,
      message: messageOf(subjects.lastStream),
      next,
      page: (from) => this.#pageOfLast(from),
      end: () => this.#end(),
    });
    // A limit per subject that is lowered and soon raised again drops publications, so each edit must be seen at once.
    const edited = `$JS.EVENT.ADVISORY.STREAM.UPDATED.${subjects.historyStream}`;
    this.#edits = bus.subscribe(edited, () => void this.state());
  }

  get epoch(): string | undefined {
    return this.#watch.epoch;
  }

  append(subject: string, content: Uint8Array, headers?: HeaderEntries, id?: string): Promise<AppendOutcome> {
    return this.#appender.append(subject, content, headers, id);
  }

  read(request: ReadRequest): Promise<ReadOutcome> {
    return this.#reader.read(request);
  }

  async find(sequence: number): Promise<Outcome<{ readonly publication: StoredPublication | undefined }>> {
    // Sequences begin with 1; the server refuses to look for another.
    if (sequence < 1) return { ok: true, publication: undefined };
    const answer = await this.#reader.get({ seq: sequence });
    if (!answer.ok) return answer;
    return { ok: true, publication: answer.result === null ? undefined : fromStored(answer.result, this.#subjects) };
  }

  async last(subject: string): Promise<Outcome<{ readonly publication: StoredPublication | undefined }>> {
    const answer = await this.#reader.get({ last_by_subj: subject });
    if (!answer.ok) return answer;
    return { ok: true, publication: answer.result === null ? undefined : fromStored(answer.result, this.#subjects) };
  }

  get(sequence: number): Promise<BusMessage | undefined> {
    return this.#direct.get(sequence);
  }

  async consume(after: number, receiver: EntryReceiver): Promise<Outcome<{ readonly consumer: EntryConsumer }>> {
    const stream = this.#subjects.historyStream;
    try {
      const consumer = await EntryConsumer.create({
        bus: this.#bus,
        consumers: this.#consumers,
        stream,
        after,
        receiver,
      });
      const epoch = this.#watch.epoch ?? "";
      this.#reading = { epoch, consumer };
      void consumer.ended.then(() => this.#watch.remember({ epoch, sequence: consumer.last }, consumer.storedAt));
      void consumer.ended.then(() => this.#consumers.delete(stream, consumer.name)).catch(() => {});
      const describing = setInterval(() => void this.state(), DESCRIBE_EVERY_MS).unref();
      void consumer.ended.then(() => clearInterval(describing));
      return { ok: true, consumer };
    } catch (error) {
      return failureOf(error);
    }
  }

  /** Ends a consumer of another epoch. JetStream does not end it at an epoch mark, which only changes a description. */
  #onEpoch(epoch: string): void {
    if (this.#reading !== undefined && this.#reading.epoch !== epoch) this.#reading.consumer.stop("the epoch changed");
  }

  /** Returns the newest entry that the last consumer has received. */
  #consumed(): KnownPublication | undefined {
    const { epoch = "", consumer } = this.#reading ?? {};
    const storedAt = consumer?.storedAt;
    return consumer === undefined || storedAt === undefined ? undefined : { epoch, sequence: consumer.last, storedAt };
  }

  async missing(replay: ReadReplay): Promise<Outcome<{ readonly reason: MissingReason | undefined }>> {
    return reasonOf(replay, {
      find: (sequence) => this.find(sequence),
      droppedNothing: async (question) => {
        await this.#last.ensure(question.since);
        return this.#last.droppedNothing(question);
      },
    });
  }

  async lostSubjects(
    since: Position,
    upTo: number,
    received: readonly number[] = [],
  ): Promise<Outcome<LostPublications>> {
    const skipped = await this.#skippedSubjects(since.sequence, upTo, received);
    if (!skipped.ok) return skipped;
    // Described afterwards, so that everything that the leader dropped before shows.
    const state = await this.state();
    if (!state.ok) return state;
    const { epoch, lastSequence } = state.history;
    if (epoch !== since.epoch) return { ok: false, reason: "unusable", detail: "the history was recreated" };
    if (lastSequence < upTo) return { ok: false, reason: "unusable", detail: "the history's leader is outdated" };
    const dropped = await this.#droppedSubjects(since, upTo, state.history);
    if (!dropped.ok) return dropped;
    const { through } = skipped;
    if (skipped.subjects === "all" || dropped.subjects === "all") return { ok: true, subjects: "all", through };
    return { ok: true, subjects: new Set([...skipped.subjects, ...dropped.subjects]), through };
  }

  /** Returns the subjects of which the history may have dropped a publication between a position and a sequence. */
  async #droppedSubjects(
    since: Position,
    upTo: number,
    { firstSequence, lastSequence, ...limits }: HistoryState,
  ): Promise<Outcome<{ readonly subjects: LostSubjects }>> {
    const limit = limitSince(limits, since.sequence);
    const hasDropped = firstSequence > since.sequence + 1;
    const news = await this.#last.newsSince({ since, firstSequence, upTo });
    if (news === undefined && hasDropped) return { ok: true, subjects: "all" };
    const isMany = (count: number) => count >= KEPT_PER_SUBJECT;
    // The limit drops a publication only after as many newer ones, of which the last publications may lack some.
    const unread = Math.max(0, lastSequence - (news?.through ?? 0));
    const mayBeFull = (count: number) => isMany(count) || count + unread > limit;
    const suspects = news && [...news.bySubject].flatMap(([subject, { count }]) => (mayBeFull(count) ? subject : []));
    const stored = await this.#reader.counts(suspects);
    if (!stored.ok) return stored;
    const { counts } = stored;
    const after = await this.state();
    if (!after.ok) return after;
    const dropsMore = after.history.firstSequence > Math.max(firstSequence, since.sequence + 1);
    // With something dropped, a retry may find more dropped each time.
    if (dropsMore && !hasDropped) return { ok: false, reason: "unusable", detail: "the history drops more" };
    const known = { news: news?.bySubject ?? new Map(), suspects: suspects ?? counts.keys(), stored: counts, limit };
    return { ok: true, subjects: lostSubjectsOf({ ...known, hasDropped, dropsMore }) };
  }

  /**
   * Returns the subjects of what the leader still stores between a sequence and another one, except what was received.
   * Each replica drops old publications by its own clock, so that a consumer may lack what the leader has.
   */
  async #skippedSubjects(after: number, upTo: number, received: readonly number[]): Promise<Outcome<LostPublications>> {
    const [firstReceived = upTo + 1] = received;
    const isReceived = new Set(received);
    const found = new Set<string>();
    const request = { filter: this.#subjects.allHistory, withoutContent: true };
    let read = after;
    for (let pages = 0; read < upTo; pages++) {
      if (pages === MAX_SKIPPED_PAGES) return { ok: true, subjects: "all", through: firstReceived - 1 };
      // Nearly always the leader stores nothing in between either, which the first publication shows.
      const limit = pages === 0 && received.length === 0 ? 1 : SKIPPED_PAGE;
      const page = await this.#reader.read({ ...request, after: read, limit });
      if (!page.ok) return page;
      for (const { sequence, subject } of page.publications) {
        if (sequence > upTo || isReceived.has(sequence)) continue;
        if (sequence > firstReceived) return { ok: true, subjects: found, through: sequence - 1 };
        found.add(subject);
      }
      if (page.isEnd) break;
      read = page.through;
    }
    return { ok: true, subjects: found, through: upTo };
  }

  count(subject: string): Promise<Outcome<{ readonly count: number }>> {
    return this.#reader.count(subject);
  }

  async state(): Promise<Outcome<DescribedHistory>> {
    const state = await this.#reader.state();
    if (state.ok) void this.#last.ensure(state.history);
    return state;
  }

  describe(): Promise<Outcome<{ readonly stream: StreamDescription }>> {
    return this.#description.get();
  }

  async #end(): Promise<Position | undefined> {
    const state = await this.#reader.state();
    return state.ok ? { epoch: state.history.epoch, sequence: state.history.lastSequence } : undefined;
  }

  async #pageOfLast(from: number) {
    const range = { stream: this.#subjects.lastStream, filter: undefined, from, maxMessages: 1_000, maxBytes: 0 };
    const page = await readRange(this.#bus, this.#consumers, { ...range, withoutContent: true });
    return page.map(({ message, sequence }) => {
      return { sequence, subject: message.subject, headers: message.headers as HeaderBlock | undefined };
    });
  }

  stop(): void {
    this.#edits.unsubscribe();
    this.#direct.stop();
    this.#appender.stop();
  }
}
