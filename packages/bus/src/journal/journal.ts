import type { Log } from "@fanwire/service";
import {
  DiscardPolicy,
  JetStreamApiCodes,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
  type StreamInfoRequestOptions,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { isApiError, mayExist } from "../connection/api-error.ts";
import type { NatsBus } from "../connection/nats-bus.ts";
import { failureOf } from "../history/failures.ts";
import { leaderMessage, type MessageQuery } from "../history/leader-messages.ts";
import { askingLeaders, isDescribedByLeader } from "../history/leader-requests.ts";
import { JournalError, parseAppendReply } from "./append-reply.ts";

const REQUEST_TIMEOUT_MS = 2_000;

export type JournalConfig = {
  /** Name of the stream. Created when it is missing; an existing one is used unchanged. */
  readonly stream: string;
  /** Subjects that the stream stores. */
  readonly subjects: string;
  /** Subjects to which stored messages are republished. */
  readonly republishTo?: string;
  /** Maximum age of a message in milliseconds; 0: no limit. */
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  /** Maximum messages of each subject; -1: no limit. */
  readonly maxPerSubject: number;
  readonly replicas: number;
};

type JournalEnds = { readonly firstSequence: number; readonly lastSequence: number };
export type JournalEntry = { readonly sequence: number; readonly subject: string; readonly content: Uint8Array };

/**
 * A JetStream stream with one writer at a time. Each write names the sequence that it must come after, so that a former
 * writer that has not noticed its end cannot write. Works from nats-server 2.9 on.
 */
export class Journal {
  readonly #bus: NatsBus;
  readonly #config: JournalConfig;
  readonly #log: Log;
  #manager: Promise<JetStreamManager> | undefined;
  #hasMessages = false;

  constructor(bus: NatsBus, config: JournalConfig, log: Log) {
    this.#bus = bus;
    this.#config = config;
    this.#log = log;
  }

  /**
   * Returns the first and last sequence. Creates the stream when it is missing.
   *
   * @throws JournalError that names the obstacle.
   */
  async open(): Promise<JournalEnds> {
    const info = await this.#described(this.#findOrCreate());
    return { firstSequence: info.state.first_seq, lastSequence: info.state.last_seq };
  }

  /**
   * Stores a message behind `after`, the last sequence of the stream. Calls of one tick are sent in order, so that a
   * writer can name sequences which are not confirmed yet. Returns the sequence.
   *
   * @throws JournalError when the message is not stored, or may be stored or not.
   */
  append(subject: string, content: string, after: number): Promise<number> {
    return this.#store(subject, content, "Nats-Expected-Last-Sequence", after);
  }

  /** Like {@link append}, where `after` is the sequence of the last message with this subject; 0: there is none. */
  replace(subject: string, content: string, after: number): Promise<number> {
    return this.#store(subject, content, "Nats-Expected-Last-Subject-Sequence", after);
  }

  /** Returns the message with that sequence, or undefined when it is not stored. */
  read(sequence: number): Promise<JournalEntry | undefined> {
    return this.#get({ seq: sequence });
  }

  /**
   * Returns the subjects that have messages.
   *
   * @throws JournalError that names the obstacle.
   */
  async subjects(): Promise<ReadonlySet<string>> {
    const info = await this.#described(this.#find({ subjects_filter: this.#config.subjects }));
    return new Set(Object.keys(info?.state.subjects ?? {}));
  }

  /** Returns the newest message of a subject. */
  last(subject: string): Promise<JournalEntry | undefined> {
    return this.#get({ last_by_subj: subject });
  }

  async #get(query: MessageQuery): Promise<JournalEntry | undefined> {
    if (!(await this.#mayHave())) return undefined;
    const connection = askingLeaders(this.#bus);
    return (await leaderMessage(connection, this.#config.stream, query, REQUEST_TIMEOUT_MS)) ?? undefined;
  }

  /** An empty stream is not asked for a message: nats-server 2.9 crashes when it still creates the stream. */
  async #mayHave(): Promise<boolean> {
    this.#hasMessages ||= (await this.open()).lastSequence > 0;
    return this.#hasMessages;
  }

  async #store(subject: string, content: string, header: string, after: number): Promise<number> {
    const outcome = await this.#bus.request(subject, Buffer.from(content), {
      timeoutMs: REQUEST_TIMEOUT_MS,
      headers: [[header, String(after)]],
    });
    if (!outcome.ok) throw new JournalError(outcome.reason);
    return parseAppendReply(Buffer.from(outcome.message.data).toString(), this.#config.stream);
  }

  /** Returns the description if it comes from the leader. */
  async #described<Info extends StreamInfo | undefined>(description: Promise<Info>): Promise<Info> {
    const info = await description.catch((error: unknown) => {
      throw new JournalError(failureOf(error).detail, { cause: error });
    });
    if (info === undefined || isDescribedByLeader(info)) return info;
    throw new JournalError(`the stream ${this.#config.stream} has no leader`);
  }

  async #findOrCreate(): Promise<StreamInfo> {
    return (await this.#find()) ?? (await this.#create());
  }

  async #find(options?: Partial<StreamInfoRequestOptions>): Promise<StreamInfo | undefined> {
    const { streams } = await this.#needManager();
    try {
      return await streams.info(this.#config.stream, options);
    } catch (error) {
      if (isApiError(error, JetStreamApiCodes.StreamNotFound)) return undefined;
      throw error;
    }
  }

  async #create(): Promise<StreamInfo> {
    const { stream, subjects, republishTo, maxAgeMs, maxBytes, maxPerSubject, replicas } = this.#config;
    const { streams } = await this.#needManager();
    try {
      const created = await streams.add({
        name: stream,
        subjects: [subjects],
        ...(republishTo !== undefined && { republish: { src: subjects, dest: republishTo } }),
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        discard: DiscardPolicy.Old,
        max_age: nanos(maxAgeMs),
        max_bytes: maxBytes,
        max_msgs_per_subject: maxPerSubject,
        num_replicas: replicas,
      });
      this.#log.info({ stream, maxBytes, replicas }, "stream created");
      return created;
    } catch (error) {
      // Another service created it first.
      const existing = mayExist(error) ? await this.#find() : undefined;
      if (existing !== undefined) return existing;
      throw error;
    }
  }

  #needManager(): Promise<JetStreamManager> {
    this.#manager ??= jetstreamManager(askingLeaders(this.#bus), { checkAPI: false });
    return this.#manager;
  }
}
