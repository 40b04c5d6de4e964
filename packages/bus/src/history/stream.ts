import { setTimeout as delay } from "node:timers/promises";
import type { HistoryState, Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import {
  DiscardPolicy,
  JetStreamApiCodes,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { isApiError, mayExist } from "../connection/api-error.ts";
import type { HistoryConfig } from "../connection/settings.ts";
import { epochFrom, markedDescription } from "./epoch.ts";
import { type Failed, failed, failureOf } from "./failures.ts";
import { isDescribedByLeader, termOf } from "./leader-requests.ts";
import { LimitRecord } from "./limit-record.ts";
import { withLimit } from "./subject-limit.ts";

/** JetStream's default. Within this time a publication with the same id is not stored again. */
const DUPLICATE_WINDOW_MS = 120_000;
/** Time in which other services that marked the stream at the same moment have done so. */
const MARK_SETTLES_MS = 1_000;
/** A mark is set again if it disappears, because another change of the description may have overwritten it. */
const MAX_MARKS = 3;
/**
 * Time in which nats-server deletes the files of a stream that it no longer describes. Version 2.9 deletes by name. So
 * it also deletes the files of a stream that was created under that name meanwhile, which then stores nothing or loses
 * data.
 */
const DELETION_SETTLES_MS = 1_000;

export type OpenStream = {
  readonly ok: true;
  readonly history: HistoryState;
  /** Identifies the term of its leader. Between two descriptions with the same term the leader did not change. */
  readonly term: string;
  /** Whether the stream has replicas. A former leader that hung may then return an outdated description. */
  readonly hasCopies: boolean;
  readonly duplicateWindowMs: number;
  /** Time at which the last publication was stored, in milliseconds since 1970. */
  readonly lastStoredAt: number;
};

/**
 * The stream behind the history. Describes it, creates it when it is missing, and refuses one that cannot be the
 * history.
 */
export class HistoryStream {
  readonly #jsm: JetStreamManager;
  readonly #subjects: Subjects;
  readonly #wanted: WantedConfig;
  readonly #log: Log;
  readonly #limits: LimitRecord;
  #warnedOf = "";
  /** Whether this process has seen the stream, so that a missing one was deleted, perhaps a moment ago. */
  #hasExisted = false;

  constructor(jsm: JetStreamManager, subjects: Subjects, config: HistoryConfig, log: Log) {
    this.#jsm = jsm;
    this.#subjects = subjects;
    this.#wanted = wantedConfig(subjects, config);
    this.#log = log;
    this.#limits = new LimitRecord(jsm, log);
  }

  async open(): Promise<OpenStream | Failed> {
    try {
      const found = (await this.#find()) ?? (await this.#findLater()) ?? (await this.#create());
      this.#hasExisted = true;
      return this.#accept(found);
    } catch (error) {
      return failureOf(error);
    }
  }

  /**
   * Gives the stream another epoch, unless another service has already done so: then its epoch is not the given one.
   * JetStream has no conditional update. So the description is read again after a while, and all services that saw the
   * old epoch at the same moment use the last mark.
   */
  async mark(epoch: string): Promise<OpenStream | Failed> {
    try {
      for (let time = 1; time <= MAX_MARKS; time++) {
        const found = await this.#find();
        if (found === undefined) return failed("unusable", "the history stream does not exist", true);
        const { created, config } = found;
        if (epochFrom(created, config.description) === epoch) {
          const description = markedDescription(config.description ?? "", Date.now());
          await this.#jsm.streams.update(config.name, { description });
        }
        await delay(MARK_SETTLES_MS);
        const opened = await this.open();
        if (!opened.ok || opened.history.epoch !== epoch) return opened;
      }
      return failed("unusable", "the epoch mark is overwritten again and again", true);
    } catch (error) {
      return failureOf(error);
    }
  }

  async #find(): Promise<StreamInfo | undefined> {
    try {
      return await this.#jsm.streams.info(this.#subjects.historyStream);
    } catch (error) {
      if (isApiError(error, JetStreamApiCodes.StreamNotFound)) return undefined;
      throw error;
    }
  }

  /** Returns the stream if another service has created it while the files of the deleted one are deleted. */
  async #findLater(): Promise<StreamInfo | undefined> {
    if (!this.#hasExisted) return undefined;
    await delay(DELETION_SETTLES_MS);
    return this.#find();
  }

  async #create(): Promise<StreamInfo> {
    try {
      const created = await this.#jsm.streams.add(this.#wanted);
      this.#log.info({ stream: created.config.name, limits: limitsOf(created.config) }, "history stream created");
      return created;
    } catch (error) {
      // Another service, with other limits, created it first or at the same time.
      const existing = mayExist(error) ? await this.#find() : undefined;
      if (existing !== undefined) return existing;
      throw error;
    }
  }

  #accept(info: StreamInfo): OpenStream | Failed {
    if (!isDescribedByLeader(info)) return failed("unusable", "the history has no leader", true);
    const { config, state, created, cluster } = info;
    const obstacle = this.#obstacle(config);
    if (obstacle !== undefined) return failed("unusable", `the stream ${config.name} ${obstacle}`, false);

    this.#warnOfDifferences(config);
    return {
      ok: true,
      history: {
        epoch: epochFrom(created, config.description),
        firstSequence: state.first_seq,
        lastSequence: state.last_seq,
        ...this.#limits.update(info),
      },
      term: termOf(info),
      hasCopies: (cluster?.replicas?.length ?? 0) > 0,
      duplicateWindowMs: config.duplicate_window / 1_000_000,
      lastStoredAt: Date.parse(state.last_ts),
    };
  }

  /**
   * Returns why a stream cannot be the history: it stores other subjects, does not republish, or lets publishers
   * delete.
   */
  #obstacle(config: StreamConfig): string | undefined {
    const { subjects, republish, retention, sealed } = config;
    const { allHistory, allLive } = this.#subjects;
    if (subjects.length !== 1 || subjects[0] !== allHistory) return `does not store exactly ${allHistory}`;
    if (republish?.src !== allHistory || republish.dest !== allLive) {
      return `does not republish ${allHistory} to ${allLive}`;
    }
    if (retention !== RetentionPolicy.Limits) return `has retention ${retention}, not limits`;
    // A deletion from the middle leaves no trace, so that an incomplete replay would look complete.
    if (config.allow_msg_ttl) return "lets publishers limit the time to live of a publication";
    if (config.allow_rollup_hdrs && !config.deny_purge)
      return "lets publishers delete earlier publications by a rollup";
    return sealed ? "is sealed" : undefined;
  }

  #warnOfDifferences(config: StreamConfig): void {
    const wanted = limitsOf(this.#wanted);
    const differing = Object.entries(limitsOf(config)).filter(([name, value]) => wanted[name as LimitName] !== value);
    const differences = Object.fromEntries(
      differing.map(([name, value]) => [name, { is: value, configured: wanted[name as LimitName] }]),
    );
    const text = JSON.stringify(differences);
    if (differing.length > 0 && text !== this.#warnedOf) {
      this.#log.warn({ stream: config.name, differences }, "history stream has other limits than configured");
    }
    this.#warnedOf = text;
  }
}

const LIMITS = [
  "max_age",
  "max_msgs_per_subject",
  "max_bytes",
  "max_msgs",
  "num_replicas",
  "storage",
  "discard",
  "deny_delete",
  "deny_purge",
] as const satisfies (keyof StreamConfig)[];
type LimitName = (typeof LIMITS)[number];
type WantedConfig = Pick<StreamConfig, "name" | LimitName> & Partial<StreamConfig>;

function limitsOf(config: Pick<StreamConfig, LimitName>): Record<LimitName, unknown> {
  return Object.fromEntries(LIMITS.map((name) => [name, config[name]])) as Record<LimitName, unknown>; // one entry a name
}

function wantedConfig(subjects: Subjects, config: HistoryConfig): WantedConfig {
  const maxAgeMs = config.maxAgeSeconds * 1_000;
  return {
    name: subjects.historyStream,
    description: withLimit("", { maxPerSubject: config.maxPerSubject }),
    subjects: [subjects.allHistory],
    republish: { src: subjects.allHistory, dest: subjects.allLive },
    allow_direct: true,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    storage: StorageType.File,
    num_replicas: config.replicas,
    max_age: nanos(maxAgeMs),
    max_msgs_per_subject: config.maxPerSubject,
    max_bytes: config.maxBytes,
    max_msgs: -1,
    duplicate_window: nanos(Math.min(DUPLICATE_WINDOW_MS, maxAgeMs)),
    // A deletion from the middle leaves no trace, so an incomplete replay would be reported as complete.
    deny_delete: true,
    deny_purge: true,
  };
}
