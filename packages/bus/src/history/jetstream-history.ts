import type { MissingReason, Position, Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { type ConsumerAPI, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { BusMessage, HeaderEntries } from "../connection/bus.ts";
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
  Outcome,
  ReadOutcome,
  ReadRequest,
  StoredPublication,
  StreamDescription,
} from "./history.ts";
import { KEPT_PER_SUBJECT, LastPublications } from "./last-publications.ts";
import { leaderMessage, type MessageQuery } from "./leader-messages.ts";
import { askingLeaders } from "./leader-requests.ts";
import { fromStored } from "./page.ts";
import { type ReadReplay, reasonOf } from "./proof.ts";
import { readRange } from "./range-consumer.ts";
import { HistoryReader } from "./reader.ts";
import { HistoryStream } from "./stream.ts";
import { StreamWatch } from "./stream-state.ts";

/** JetStream answers at once, or not at all when its leader died. */
const REQUEST_TIMEOUT_MS = 2_000;
const SHORT_TIMEOUT_MS = 1_000;

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
  /** Requests of which the caller does not wait long for the answer. */
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
  readonly #description: CoalescedRequest<Outcome<{ readonly stream: StreamDescription }>>;

  constructor({ bus, subjects, config, log }: HistoryParts, api: JetStreamApi) {
    const { connection, jsm, impatient } = api;
    const { consumers } = impatient;
    this.#bus = bus;
    this.#consumers = consumers;
    this.#subjects = subjects;
    this.#watch = new StreamWatch({
      stream: new HistoryStream(jsm, subjects, config, log),
      log,
      disconnects: () => bus.disconnects,
      witness: () => this.#last.newest(),
    });
    this.#appender = new HistoryAppender(bus, this.#watch, subjects.historyStream);
    this.#direct = new DirectGet(bus, subjects);
    const messageOf = (stream: string) => (query: MessageQuery) =>
      leaderMessage(connection, stream, query, REQUEST_TIMEOUT_MS);
    const message = messageOf(subjects.historyStream);
    this.#reader = new HistoryReader({ bus, jsm, message, consumers, watch: this.#watch, subjects });
    this.#description = new CoalescedRequest(() => describeStream(impatient, subjects));
    this.#last = new LastPublications({
      jsm,
      subjects,
      replicas: config.replicas,
      log,
      message: messageOf(subjects.lastStream),
      page: (from) => this.#pageOfLast(from),
      end: () => this.#end(),
    });
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
      void consumer.ended.then(() => this.#watch.remember({ epoch, sequence: consumer.last }));
      void consumer.ended.then(() => this.#consumers.delete(stream, consumer.name)).catch(() => {});
      return { ok: true, consumer };
    } catch (error) {
      return failureOf(error);
    }
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

  async lostSubjects(since: Position): Promise<Outcome<{ readonly subjects: ReadonlySet<string> | "all" }>> {
    const state = await this.state();
    if (!state.ok) return state;
    const { epoch, firstSequence, maxPerSubject } = state.history;
    if (epoch !== since.epoch) return { ok: false, reason: "unavailable", detail: "the history was recreated" };
    const stored = await this.#reader.countAll();
    if (!stored.ok) return stored;
    const hasDropped = firstSequence > since.sequence + 1;
    const news = await this.#last.newsSince({ since, firstSequence }).catch(() => undefined);
    if (news === undefined && hasDropped) return { ok: true, subjects: "all" };
    const isLost = (subject: string) => {
      const { isDropped, count } = news?.get(subject) ?? { isDropped: false, count: Number.POSITIVE_INFINITY };
      const mayBeDropped = hasDropped && (isDropped || count >= KEPT_PER_SUBJECT);
      return mayBeDropped || (stored.counts.get(subject) ?? 0) >= maxPerSubject;
    };
    return { ok: true, subjects: new Set([...(news ?? stored.counts).keys()].filter(isLost)) };
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
    this.#direct.stop();
    this.#appender.stop();
  }
}
