import type { DurableTarget, LogState, Position } from "@fanwire/protocol";
import type { HeaderEntries } from "./bus.ts";

/**
 * The log of durable publications. Created when it is missing, by whoever needs it first. Every answer is that of the log's
 * leader: copies of it may lag, and what they do not have yet would look like nothing published.
 */
export interface DurableLog {
  /** The log's epoch as last heard; `undefined` before the first answer. Asking {@link state} renews it. */
  readonly epoch: string | undefined;

  /**
   * Stores a publication, from where it is also heard on the live subject. Waits out the change of a leader, about 10 s at
   * most: a publication is sent again under its message id, so that it is not stored twice. Publications handed over in
   * one turn of the event loop are stored in that order, except around such a change.
   *
   * @param subject of the log.
   * @param id the publisher's own: within two minutes a second publication with it, on the same subject, is not stored again.
   */
  append(subject: string, content: Uint8Array, headers?: HeaderEntries, id?: string): Promise<AppendOutcome>;

  /**
   * What is stored after a sequence, in order, as much as the limits allow. Costs one request when there is nothing, beside
   * a description of the log that all readers of one moment share, and another when `upTo` is news.
   */
  read(request: ReadRequest): Promise<ReadOutcome>;
  /** The publication with that sequence, if it is still stored. One request. */
  find(sequence: number): Promise<Outcome<{ readonly publication: LoggedPublication | undefined }>>;
  /** How many publications of one log subject are stored. One request. */
  count(subject: string): Promise<Outcome<{ readonly count: number }>>;
  /** The log as it is now. Those who ask at one moment share a request. */
  state(): Promise<Outcome<{ readonly log: LogState }>>;

  /** Appends that wait to be sent again give up. The bus is not touched. */
  stop(): void;
}

export type LoggedPublication = {
  readonly sequence: number;
  /** Its subject in the log. */
  readonly subject: string;
  readonly target: DurableTarget;
  readonly content: Uint8Array;
  readonly headers: { get(name: string): string } | undefined;
  /** When it was stored. */
  readonly time: Date;
};

export type ReadRequest = {
  /** One log subject or pattern of them, as `Subjects` builds them. */
  readonly filter: string;
  /** Sequence after which to begin; 0 for the first stored. */
  readonly after: number;
  /** Most publications to return. Default 500. */
  readonly limit?: number;
  /** Stops after the publication whose content passes this many bytes. Default 4 MiB. */
  readonly maxBytes?: number;
  /** Content is left out, and much of it not even read: what is returned has none. */
  readonly withoutContent?: boolean;
  /** Known to be stored: a page that ends sooner was answered by somebody who lags, and says so in `through`. */
  readonly upTo?: number;
  /** Rejects with its reason when it aborts. */
  readonly signal?: AbortSignal;
};

export type ReadPage = {
  readonly publications: readonly LoggedPublication[];
  /** All that was stored for the filter up to here is in the page, or was before it: where to read on. */
  readonly through: number;
  /** True when nothing more was stored for the filter, at a moment before {@link log} was described. */
  readonly isEnd: boolean;
  readonly log: LogState;
};

export type LogFailureReason =
  /** NATS cannot be reached; not stored. */
  | "unavailable"
  /** This NATS has no JetStream, or our account has none; not stored. */
  | "no-jetstream"
  /** There is JetStream, but it cannot keep the log now or at all; not stored. */
  | "unusable"
  /** NATS does not permit our user to do it; not stored. */
  | "forbidden";

export type LogFailure<Reason extends string = LogFailureReason> = {
  readonly ok: false;
  readonly reason: Reason;
  /** Why, for people. */
  readonly detail: string;
};

export type Outcome<Result> = ({ readonly ok: true } & Result) | LogFailure;
export type ReadOutcome = Outcome<ReadPage>;

/** `unconfirmed`: may be stored or not; with an id it can be repeated safely. `too-large`: beyond NATS' max_payload. */
export type AppendOutcome =
  | {
      readonly ok: true;
      readonly position: Position;
      /** A publication with this id was stored before; `position` is that one's. */
      readonly duplicate: boolean;
    }
  | LogFailure<LogFailureReason | "unconfirmed" | "too-large">;
