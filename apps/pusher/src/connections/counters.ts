import { closeCodes, type NotRecovered, type Target } from "@fanwire/protocol";
import type { RefusalReason } from "./admission.ts";

/** The limit that closed a connection. Label of a metric. */
export type EndedBy = "unsent-bytes" | "inbound-bytes" | "inbound-rate" | "idle" | "memory-budget";

/** Counters of a worker. Plain numbers, because the hot path adds to them. `metrics.ts` exports them to Prometheus. */
export type Counters = {
  accepted: number;
  publications: Record<Target["kind"], number>;
  /** Messages to subjects that belong to no target. */
  misaddressed: number;
  /** Publications that a protocol cannot carry, counted once for each encoding. */
  uncarried: number;
  deliveries: number;
  deliveredBytes: number;
  /** Publications not written to a connection because it held too many unsent bytes. */
  drops: number;
  inboundMessages: number;
  /** Subscriptions refused because the connection had the maximum number of topics. */
  topicLimits: number;
  /** Durable publications whose content had to be fetched, because the live message was lost. */
  historyFetched: number;
  /** Subscriptions that missed publications which are no longer stored. */
  historyMissed: number;
  /** Times the history was recreated. */
  historyRecreated: number;
  /** Messages that claimed a position in the history and had none. */
  historyUnmatched: number;
  /** Clients that resumed, by result: recovered, or why recovery could not be proved. */
  readonly resumed: Record<"recovered" | NotRecovered, number>;
  /** `quota`: a Pusher app has the maximum number of connections. Such clients are upgraded, and closed with a code. */
  readonly refused: Record<RefusalReason | "quota", number>;
  readonly ended: Record<EndedBy, number>;
  readonly closedByCode: Map<string, number>;
};

export function newCounters(): Counters {
  return {
    accepted: 0,
    publications: { everyone: 0, topic: 0, user: 0, connection: 0 },
    misaddressed: 0,
    uncarried: 0,
    deliveries: 0,
    deliveredBytes: 0,
    drops: 0,
    inboundMessages: 0,
    topicLimits: 0,
    historyFetched: 0,
    historyMissed: 0,
    historyRecreated: 0,
    historyUnmatched: 0,
    resumed: {
      recovered: 0,
      recreated: 0,
      expired: 0,
      "over-subject-limit": 0,
      "over-replay-limit": 0,
      malformed: 0,
      "already-subscribed": 0,
      unreadable: 0,
    },
    refused: {
      draining: 0,
      "connection-limit": 0,
      "handshake-rate": 0,
      origin: 0,
      path: 0,
      upgrade: 0,
      handshake: 0,
      app: 0,
      quota: 0,
      malformed: 0,
      token: 0,
      "token-keys": 0,
      topic: 0,
    },
    ended: { "unsent-bytes": 0, "inbound-bytes": 0, "inbound-rate": 0, idle: 0, "memory-budget": 0 },
    closedByCode: new Map(),
  };
}

const ownCodes: ReadonlySet<number> = new Set(Object.values(closeCodes).map(({ code }) => code));

/**
 * Counts a closed connection. Clients may send any of 4,000 codes, so those that neither we nor the protocol define
 * share one label.
 */
export function countClosed({ closedByCode }: Counters, code: number, codes: ReadonlySet<number> = ownCodes): void {
  const label = (code >= 1000 && code <= 1015) || codes.has(code) ? String(code) : "other";
  closedByCode.set(label, (closedByCode.get(label) ?? 0) + 1);
}
