import type { HostileRequest, IgnoredRequest, Request } from "../wire/client-message.ts";
import type { FrameError } from "../wire/frames.ts";

/** Why a peer was refused. The label of a metric. */
export type RefusalReason = "network" | "peer-limit";

/** Why a peer was closed. The label of a metric. The peer causes `ended`, the network causes `failed`. */
export type CloseReason =
  | "ended"
  | "failed"
  | "draining"
  | "unsent-bytes"
  | "not-reading"
  | "buffered-bytes"
  | "subscription-limit"
  | "watch-limit"
  | "frame-time"
  | FrameError
  | HostileRequest["reason"];

/** Why reading from a peer is paused. The label of a metric. */
export type PauseReason = "nats" | "unstored-items" | "slow-subscriber" | "buffered-bytes";

/** Counters of a channel server. They are plain numbers, because the hot path adds to them; metrics.ts exports them. */
export type Counters = {
  accepted: number;
  readonly refused: Record<RefusalReason, number>;
  readonly closed: Record<CloseReason, number>;
  readonly requests: Record<Request["type"], number>;
  readonly ignored: Record<IgnoredRequest["reason"], number>;
  pings: number;
  /** Events and round-robin events that were not sent to other servers. */
  readonly kept: Record<"unavailable" | "too-large", number>;
  receivedEvents: number;
  /** Invalid messages received from NATS. */
  readonly refusedFromNats: Record<"event" | "queue-item", number>;
  deliveries: number;
  deliveredBytes: number;
  readonly bridged: Record<"to-everyone" | "to-connection" | "from-everyone" | "from-connection", number>;
  bridgeLosses: number;
  readonly items: Record<
    "stored" | "delivered" | "returned" | "repeated" | "too-large" | "lost" | "unconfirmed",
    number
  >;
  /** Times reading from a peer was paused because its request had to wait. */
  readonly pauses: Record<PauseReason, number>;
};

export function newCounters(): Counters {
  return {
    accepted: 0,
    refused: { network: 0, "peer-limit": 0 },
    closed: {
      ended: 0,
      failed: 0,
      draining: 0,
      "unsent-bytes": 0,
      "not-reading": 0,
      "buffered-bytes": 0,
      "subscription-limit": 0,
      "watch-limit": 0,
      "frame-time": 0,
      "frame-too-short": 0,
      "frame-too-long": 0,
      "string-payload": 0,
      "object-payload": 0,
      "name-not-scalar": 0,
    },
    requests: {
      subscribe: 0,
      unsubscribe: 0,
      publish: 0,
      publishLoop: 0,
      watch: 0,
      unwatch: 0,
      enqueue: 0,
      reserve: 0,
    },
    ignored: {
      malformed: 0,
      "over-limit": 0,
      "not-an-array": 0,
      "unknown-type": 0,
      "no-channels": 0,
      "reference-outside-data": 0,
      "unsafe-value": 0,
      "class-not-allowed": 0,
    },
    pings: 0,
    kept: { unavailable: 0, "too-large": 0 },
    receivedEvents: 0,
    refusedFromNats: { event: 0, "queue-item": 0 },
    deliveries: 0,
    deliveredBytes: 0,
    bridged: { "to-everyone": 0, "to-connection": 0, "from-everyone": 0, "from-connection": 0 },
    bridgeLosses: 0,
    items: { stored: 0, delivered: 0, returned: 0, repeated: 0, "too-large": 0, lost: 0, unconfirmed: 0 },
    pauses: { nats: 0, "unstored-items": 0, "slow-subscriber": 0, "buffered-bytes": 0 },
  };
}
