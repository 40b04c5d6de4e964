import { closeCodes, type Target } from "@fanwire/protocol";
import type { RefusalReason } from "./core/admission.ts";

/** Why a limit ended a connection; the label of a metric. */
export type EndedBy = "unsent-bytes" | "inbound-bytes" | "inbound-rate" | "idle";

/**
 * What a worker counts. Plain numbers, since the hot path adds to them; metrics.ts shows them to Prometheus.
 */
export type Traffic = {
  accepted: number;
  publications: Record<Target["kind"], number>;
  deliveries: number;
  deliveredBytes: number;
  /** Publications not written to a connection because it held too many unsent bytes. */
  drops: number;
  inboundMessages: number;
  /** Topics not followed because the connection followed as many as it may. */
  topicLimits: number;
  /** Times a durable publication did not come, or came twice without reason. */
  logGaps: number;
  /** Durable publications delivered from the history because they did not come by themselves. */
  logRepairs: number;
  /** Times the history did not hold all that was missed of something followed. */
  logBroken: number;
  /** Connections that came back with a position, by whether it could be proven that nothing is missing. */
  readonly resumed: Record<"recovered" | "not-recovered", number>;
  readonly refused: Record<RefusalReason, number>;
  readonly ended: Record<EndedBy, number>;
  readonly closedByCode: Map<string, number>;
};

export function newTraffic(): Traffic {
  return {
    accepted: 0,
    publications: { everyone: 0, topic: 0, user: 0, connection: 0 },
    deliveries: 0,
    deliveredBytes: 0,
    drops: 0,
    inboundMessages: 0,
    topicLimits: 0,
    logGaps: 0,
    logRepairs: 0,
    logBroken: 0,
    resumed: { recovered: 0, "not-recovered": 0 },
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
export function countClosed({ closedByCode }: Traffic, code: number): void {
  const label = (code >= 1000 && code <= 1015) || ownCodes.has(code) ? String(code) : "other";
  closedByCode.set(label, (closedByCode.get(label) ?? 0) + 1);
}
