import type { DurableTarget, HistoryState, MissingReason, Position } from "@fanwire/protocol";
import type { BusMessage, HeaderEntries, MessageHeaders } from "../connection/bus.ts";
import type { EntryConsumer, EntryReceiver } from "./entry-consumer.ts";

/**
 * The port to the history of durable publications. The first service that needs it creates it. It exists before the
 * first connection to NATS, and answers `unavailable` until then. Answers come from the stream's leader, because outdated
 * replicas would hide publications. Only {@link get} reads from any replica.
 */
export interface History {
  /** Epoch in the last description; `undefined` before the first one. {@link state} renews it. */
  readonly epoch: string | undefined;

  /**
   * Stores a publication. The history republishes it to the live subject. Retries during a leader election for at most
   * 10 s, under the same message id, so that it is not stored twice. Publications of one event-loop tick are stored in
   * order, except around an election.
   *
   * @param subject of the history.
   * @param id of the publisher: for two minutes, another publication with it on the same subject is not stored.
   */
  append(subject: string, content: Uint8Array, headers?: HeaderEntries, id?: string): Promise<AppendOutcome>;

  /**
   * Reads the publications after a sequence, in order, within the limits. An empty read costs one request and a
   * description of the history, which simultaneous readers share. It costs one more if `upTo` is beyond the known end.
   */
  read(request: ReadRequest): Promise<ReadOutcome>;
  /** Returns the publication with that sequence, if it is still stored. Costs one request. */
  find(sequence: number): Promise<Outcome<{ readonly publication: StoredPublication | undefined }>>;
  /** Returns the newest publication under a history subject, if one is stored. Costs one request. */
  last(subject: string): Promise<Outcome<{ readonly publication: StoredPublication | undefined }>>;
  /**
   * Returns the publication with that sequence from any replica, with the headers that {@link storedPlace} reads.
   * `undefined` does not mean that it is not stored; see {@link find}.
   */
  get(sequence: number): Promise<BusMessage | undefined>;
  /**
   * Consumes all publications after a sequence, stored and future ones, as entries without content. The consumer ends
   * at the first doubt. The caller then reads {@link state} and creates another one.
   */
  consume(after: number, receiver: EntryReceiver): Promise<Outcome<{ readonly consumer: EntryConsumer }>>;
  /**
   * Returns why a replay may be incomplete; no reason if it is provably complete. Fails if that depends on publications
   * which are not read yet. The caller then reads on.
   */
  missing(replay: ReadReplay): Promise<Outcome<{ readonly reason: MissingReason | undefined }>>;
  /**
   * Returns the history subjects that may have lost publications after a position, because a consumer received only
   * some from there up to a sequence.
   *
   * @param received sequences that it did receive, in order.
   */
  lostSubjects(since: Position, upTo: number, received?: readonly number[]): Promise<Outcome<LostPublications>>;
  /** Returns the number of stored publications of one history subject. Costs one request. */
  count(subject: string): Promise<Outcome<{ readonly count: number }>>;
  /** Returns the current state of the history. Simultaneous callers share a request. */
  state(): Promise<Outcome<DescribedHistory>>;

  /**
   * Describes the stream as its leader sees it, for people. Does not create a missing stream. Simultaneous callers
   * share a request.
   */
  describe(): Promise<Outcome<{ readonly stream: StreamDescription }>>;

  /** Ends the retries of pending appends. Does not stop the bus. */
  stop(): void;
}

/** `all` when none can be excluded. */
export type LostSubjects = ReadonlySet<string> | "all";

export type LostPublications = {
  readonly subjects: LostSubjects;
  /**
   * Sequence up to which they are known. It is lower than requested if the leader still stores a publication of a later
   * gap. Clients that resume before the worker passes that gap would miss it.
   */
  readonly through: number;
};

export type DescribedHistory = {
  readonly history: HistoryState;
  /** Whether the stream has replicas. A former leader that hung may then return an outdated state for seconds. */
  readonly hasCopies: boolean;
};

export type StreamDescription = {
  readonly messages: number;
  readonly bytes: number;
  /** Null without a limit. */
  readonly maxBytes: number | null;
  /** Null without a limit. */
  readonly maxAgeSeconds: number | null;
  /** Position of the oldest stored publication; null when none is stored. */
  readonly firstPosition: string | null;
  /** Position of the newest publication that was stored. */
  readonly lastPosition: string;
  /** NATS node that leads the stream; absent without a NATS cluster. */
  readonly leader?: string;
  /** The other nodes that keep the stream. */
  readonly replicas: {
    readonly name: string;
    /** Whether the leader receives from it, and it has everything that the leader has confirmed. */
    readonly isCurrent: boolean;
    /** Number of operations that it is behind the leader. */
    readonly lag: number;
  }[];
};

export type StoredPublication = {
  readonly sequence: number;
  /** History subject. */
  readonly subject: string;
  readonly target: DurableTarget;
  readonly content: Uint8Array;
  readonly headers: MessageHeaders | undefined;
  /** Time at which it was stored. */
  readonly time: Date;
};

export type ReadRequest = {
  /** One history subject or a pattern, as `Subjects` builds them. */
  readonly filter: string;
  /** Sequence after which the read begins; 0 for the first stored. */
  readonly after: number;
  /** Maximum number of publications; 500 by default. */
  readonly limit?: number;
  /** Bytes of content and headers after which the page ends, with the publication that exceeds them; 4 MiB by default. */
  readonly maxBytes?: number;
  /** Returns publications without content. Most of the content is not read from JetStream either. */
  readonly withoutContent?: boolean;
  /** A sequence known to be stored. A page from an outdated replica ends sooner, as `through` shows. */
  readonly upTo?: number;
  /** Makes the read reject with its reason when it aborts. */
  readonly signal?: AbortSignal;
};

export type ReadPage = {
  readonly publications: readonly StoredPublication[];
  /** Sequence up to which the page is complete for the filter. The next page begins after it. */
  readonly through: number;
  /** True when the page has everything that was stored for the filter at a moment of the read. */
  readonly isEnd: boolean;
  /** Maximum number of publications of the filter that were stored behind the page while it was read. */
  readonly unread: number;
  /** Described after the read. */
  readonly history: HistoryState;
};

export type HistoryFailureReason =
  /** NATS cannot be reached; not stored. */
  | "unavailable"
  /** This NATS has no JetStream, or our account has none; not stored. */
  | "no-jetstream"
  /** NATS can be reached, but JetStream cannot keep or read the history, now or at all; not stored. */
  | "unusable"
  /** NATS does not permit our user to do it; not stored. */
  | "forbidden";

export type HistoryFailure<Reason extends string = HistoryFailureReason> = {
  readonly ok: false;
  readonly reason: Reason;
  /** Human-readable detail. */
  readonly detail: string;
};

export type Outcome<Result> = ({ readonly ok: true } & Result) | HistoryFailure;
export type ReadOutcome = Outcome<ReadPage>;

/** `unconfirmed`: may be stored or not; a retry with the same id is safe. `too-large`: beyond NATS' max_payload. */
export type AppendOutcome =
  | {
      readonly ok: true;
      readonly position: Position;
      /** Whether a publication with this id was stored before; `position` is the position of that publication. */
      readonly duplicate: boolean;
    }
  | HistoryFailure<HistoryFailureReason | "unconfirmed" | "too-large">;

/** A replay of one filter after a position, read to its end. */
export type ReadReplay = {
  readonly filter: string;
  readonly since: Position;
  /** Number of publications by history subject. */
  readonly counts: ReadonlyMap<string, number>;
  /** As the last page has it. */
  readonly unread: number;
  /** State after the last of them was read. */
  readonly history: HistoryState;
};
