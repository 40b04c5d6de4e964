/**
 * Why the cluster did not do what a route asked for. `routes/failures.ts` translates each reason into an HTTP error.
 */
export type FailureReason =
  | "connection-not-found"
  /** The protocol of the connection cannot carry the content or the event. Nothing was sent. */
  | "uncarried"
  /** The connection has the maximum number of subscriptions. */
  | "topic-limit"
  /** The maximum number of lists is being read. Nothing was sent. */
  | "busy"
  /** NATS does not accept content of this size. */
  | "too-large"
  /** This publisher has the maximum number of open traces. */
  | "too-many-traces"
  /** NATS is unreachable. Nothing was sent. */
  | "unavailable"
  /** Sent, but NATS did not confirm it. */
  | "unconfirmed"
  | "forbidden"
  /** Nothing was stored, because NATS has no JetStream. */
  | "no-jetstream"
  /** Nothing was stored, because the history cannot be used now. */
  | "unusable"
  /** Sent. Whether the worker has processed it is unknown. */
  | "worker-timeout"
  /** Sent. The worker's reply does not show the outcome. */
  | "malformed-reply";

export type Failure<Reason extends FailureReason = FailureReason> = {
  readonly ok: false;
  readonly reason: Reason;
  /** For people, where the reason alone is too general. */
  readonly detail?: string;
  /** For the log. */
  readonly cause?: unknown;
};

export type Result<Value> = ({ readonly ok: true } & Value) | Failure;
