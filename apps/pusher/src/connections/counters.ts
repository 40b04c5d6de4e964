import { closeCodes, type NotRecovered, type Target } from "@fanwire/protocol";
import type { RefusalReason } from "./admission.ts";

/** Why a limit ended a connection; the label of a metric. */
export type EndedBy = "unsent-bytes" | "inbound-bytes" | "inbound-rate" | "idle";

/**
 * What a worker counts. Plain numbers, since the hot path adds to them; metrics.ts shows them to Prometheus.
 */
export type Counters = {
  accepted: number;
  publications: Record<Target["kind"], number>;
  deliveries: number;
  deliveredBytes: number;
  /** Publications not written to a connection because it held too many unsent bytes. */
  drops: number;
  inboundMessages: number;
  /** Topics not followed because the connection followed as many as it may. */
  topicLimits: number;
  /** Durable publications whose content had to be fetched, because it did not come by itself. */
  historyFetched: number;
  /** Subscriptions that missed publications which the history does not hold any more. */
  historyMissed: number;
  /** Times the history was recreated. */
  historyRecreated: number;
  /** Messages that claimed a place in the history and had none. */
  historyUnmatched: number;
  /** Clients that came back with a position, by whether it could be proven that nothing is missing, or why not. */
  readonly resumed: Record<"recovered" | NotRecovered, number>;
  readonly refused: Record<RefusalReason, number>;
  readonly ended: Record<EndedBy, number>;
  readonly closedByCode: Map<string, number>;
};

export function newCounters(): Counters {
  return {
    accepted: 0,
    publications: { everyone: 0, topic: 0, user: 0, connection: 0 },
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
      malformed: 0,
      token: 0,
      "token-keys": 0,
      topic: 0,
    },
    ended: { "unsent-bytes": 0, "inbound-bytes": 0, "inbound-rate": 0, idle: 0 },
    closedByCode: new Map(),
  };
}

const ownCodes: ReadonlySet<number> = new Set(Object.values(closeCodes).map(({ code }) => code));

/** Clients may close with any of 4,000 codes: those that nobody defined share one label. */
export function countClosed({ closedByCode }: Counters, code: number): void {
  const label = (code >= 1000 && code <= 1015) || ownCodes.has(code) ? String(code) : "other";
  closedByCode.set(label, (closedByCode.get(label) ?? 0) + 1);
}
