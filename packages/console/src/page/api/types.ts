/**
 * Answers of the publisher, as its OpenAPI document describes them. Fields that a worker of an older version does not
 * send are optional: the page shows them as unknown.
 */

export type Scope = "full" | "read" | "open";

type Nats = { readonly name: string; readonly version: string; readonly cluster?: string };
type Memory = { readonly residentBytes: number; readonly heapBytes: number };

type Rates = {
  readonly publicationsPerSecond: number;
  readonly deliveriesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly acceptedPerSecond: number;
};

type WorkerHistory = { readonly position: string | null; readonly isCurrent: boolean; readonly lagMs?: number };

export type Worker = {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly connections: number;
  readonly users?: number;
  readonly topics?: number;
  readonly rates: Rates;
  readonly memory?: Memory;
  readonly eventLoopDelayMs?: number;
  readonly unsentBytes?: number;
  readonly history?: WorkerHistory;
  readonly nats?: Nats;
};

/** A publisher, a channel server or a webhook sender. */
export type Service = {
  readonly kind: string;
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly memory?: Memory;
  readonly eventLoopDelayMs?: number;
  readonly nats?: Nats;
  readonly counts?: Readonly<Record<string, number>>;
};

export type NatsNode = Partial<Omit<Nats, "name">> & { readonly name: string; readonly connectedFrom?: number };

export type History = {
  readonly messages: number;
  readonly bytes: number;
  /** Null without a limit. */
  readonly maxBytes: number | null;
  readonly maxAgeSeconds: number | null;
  readonly firstPosition: string | null;
  readonly lastPosition: string;
  readonly leader?: string;
  readonly replicas: readonly { readonly name: string; readonly isCurrent: boolean; readonly lag: number }[];
};

export type Cluster = {
  readonly workers: readonly Worker[];
  readonly missing?: readonly string[];
  readonly complete?: false;
  readonly services?: readonly Service[];
  readonly nats?: readonly NatsNode[];
  readonly history?: History | null;
  /** Reason why `history` is null. */
  readonly historyProblem?: string;
};

export type Connection = {
  readonly address: string;
  readonly protocol: string;
  readonly user?: string;
  readonly topics: readonly string[];
  readonly omittedTopics?: number;
  readonly remoteAddress: string;
  readonly openedAt: string;
  readonly unsentBytes: number;
};

export type UserCount = { readonly user: string; readonly connections: number };
export type TopicCount = { readonly topic: string; readonly connections: number };

/** Number of all items of a list, or its bounds if several workers may have the same. */
export type Totals = {
  readonly total?: number | undefined;
  readonly totalAtLeast?: number | undefined;
  readonly totalAtMost?: number | undefined;
};

/** Fields of answers to which several workers contribute. */
export type Gaps = {
  readonly missing?: number | readonly string[];
  readonly complete?: false;
  /** Order by the busiest: busier ones may be missing. */
  readonly exact?: false;
};

export type User = Gaps & {
  readonly user: string;
  readonly count: number;
  readonly connections: readonly Connection[];
  readonly next?: string;
};

export type Topic = Gaps & { readonly topic: string; readonly connections: number; readonly members: number };

export type Members = {
  readonly members: readonly { readonly user: string; readonly info?: unknown; readonly connections: number }[];
  readonly count: number;
  readonly next?: string;
};

export type StoredPublication = {
  readonly position: string;
  readonly topic: string;
  readonly event: string;
  readonly data: string;
  readonly encoding?: "base64";
  readonly id?: string;
  readonly time: string;
};

export type HistoryPage = {
  readonly publications: readonly StoredPublication[];
  readonly position: string;
  readonly complete: boolean;
};

export type Receipt = {
  readonly delivered: number;
  readonly buffered: number;
  readonly workers: number;
  readonly missing: number;
  readonly complete: boolean;
};

export type PublicationStatus = {
  readonly status: string;
  readonly position?: string;
  readonly duplicate?: true;
  readonly receipt?: Receipt;
};
