import type { DurableTarget, HistoryState, MissingReason, Position } from "@fanwire/protocol";
import type { BusMessage, HeaderEntries } from "../connection/bus.ts";
import type { EntryConsumer, EntryReceiver } from "./entry-consumer.ts";
import type { ReadReplay } from "./proof.ts";

/**
 * The history of durable publications. Created when it is missing, by whoever needs it first. Every answer is that of the history's
 * leader: copies of it may lag, and what they do not have yet would look like nothing published.
 */
export interface History {
  /** The history's epoch as last described; `undefined` before the first description. {@link state} renews it. */
  readonly epoch: string | undefined;

  /**
   * Stores a publication, from where it is also heard on the live subject. Waits out the change of a leader, about 10 s at
   * most: a publication is sent again under its message id, so that it is not stored twice. Publications handed over in
   * one turn of the event loop are stored in that order, except around such a change.
   *
   * @param subject of the history.
   * @param id the publisher's own: within two minutes a second publication with it, on the same subject, is not stored again.
   */
  append(subject: string, content: Uint8Array, headers?: HeaderEntries, id?: string): Promise<AppendOutcome>;

  /**
   * What is stored after a sequence, in order, as much as the limits allow. Costs one request when there is nothing, beside
   * a description of the history that all readers of one moment share, and another when `upTo` is news.
   */
  read(request: ReadRequest): Promise<ReadOutcome>;
  /** The publication with that sequence, if it is still stored. One request. */
  find(sequence: number): Promise<Outcome<{ readonly publication: StoredPublication | undefined }>>;
  /**
   * The publication with that sequence from any replica, as it is republished, with the headers that {@link storedPlace} reads.
   * `undefined` says nothing about whether it is stored: {@link find} does.
   */
  get(sequence: number): Promise<BusMessage | undefined>;
  /**
   * All that is stored after a sequence, and then all that will be, as entries without content. The consumer ends at the
   * first doubt; the caller then describes the history and begins another from where it stands.
   */
  consume(after: number, receiver: EntryReceiver): Promise<Outcome<{ readonly consumer: EntryConsumer }>>;
  /** Why a replay that was read may lack something; no reason: it provably holds everything. The one proof there is. */
  missing(replay: ReadReplay): Promise<Outcome<{ readonly reason: MissingReason | undefined }>>;
  /** History subjects of which something stored after a position may have been dropped; `all` when none can be excluded. */
  lostSubjects(since: Position): Promise<Outcome<{ readonly subjects: ReadonlySet<string> | "all" }>>;
  /** How many publications of one history subject are stored. One request. */
  count(subject: string): Promise<Outcome<{ readonly count: number }>>;
  /** The history as it is now. Those who ask at one moment share a request. */
  state(): Promise<Outcome<DescribedHistory>>;

  /** Appends that wait to be retried give up. Does not touch the bus. */
  stop(): void;
}

export type DescribedHistory = {
  readonly history: HistoryState;
  /** Other nodes keep copies: one that hung while it led may describe the history as it was, for seconds. */
  readonly hasCopies: boolean;
};

export type StoredPublication = {
  readonly sequence: number;
  /** Its subject in the history. */
  readonly subject: string;
  readonly target: DurableTarget;
  readonly content: Uint8Array;
  readonly headers: { get(name: string): string } | undefined;
  /** When it was stored. */
  readonly time: Date;
};

export type ReadRequest = {
  /** One history subject or a pattern of them, as `Subjects` builds them. */
  readonly filter: string;
  /** Sequence after which to begin; 0 for the first stored. */
  readonly after: number;
  /** Most publications to return. Default 500. */
  readonly limit?: number;
  /** Stops after the publication whose content passes this many bytes. Default 4 MiB. */
  readonly maxBytes?: number;
  /** Publications are returned without content, most of which is then not even read. */
  readonly withoutContent?: boolean;
  /** A sequence that is known to be stored. A page that ends sooner came from a replica that lags, and says so in `through`. */
  readonly upTo?: number;
  /** Rejects with its reason when it aborts. */
  readonly signal?: AbortSignal;
};

export type ReadPage = {
  readonly publications: readonly StoredPublication[];
  /** All that was stored for the filter up to here is in the page, or was before it: where to read on. */
  readonly through: number;
  /** True when nothing more was stored for the filter, at a moment before {@link history} was described. */
  readonly isEnd: boolean;
  readonly history: HistoryState;
};

export type HistoryFailureReason =
  /** NATS cannot be reached; not stored. */
  | "unavailable"
  /** This NATS has no JetStream, or our account has none; not stored. */
  | "no-jetstream"
  /** There is JetStream, but it cannot keep the history now or at all; not stored. */
  | "unusable"
  /** NATS does not permit our user to do it; not stored. */
  | "forbidden";

export type HistoryFailure<Reason extends string = HistoryFailureReason> = {
  readonly ok: false;
  readonly reason: Reason;
  /** Why, for people. */
  readonly detail: string;
};

export type Outcome<Result> = ({ readonly ok: true } & Result) | HistoryFailure;
export type ReadOutcome = Outcome<ReadPage>;

/** `unconfirmed`: may be stored or not; with an id it can be repeated safely. `too-large`: beyond NATS' max_payload. */
export type AppendOutcome =
  | {
      readonly ok: true;
      readonly position: Position;
      /** A publication with this id was stored before; `position` is that one's. */
      readonly duplicate: boolean;
    }
  | HistoryFailure<HistoryFailureReason | "unconfirmed" | "too-large">;
