import { type DeliveryOutcome, formatPosition, type Position } from "@fanwire/protocol";
import type { Failure, FailureReason } from "./failure.ts";

/** Number of deliveries of one request. A connection counts once for each of its subscriptions that match. */
export type Receipt = {
  /** Deliveries that were written to a socket with no unsent bytes left. */
  readonly delivered: number;
  /** Deliveries that wait in a worker's memory for a slow consumer. */
  readonly buffered: number;
  /** Workers that have counted. */
  readonly workers: number;
  /** Workers that did not count all of their connections in time. */
  readonly missing: number;
  /** Whether all existing workers have counted. */
  readonly complete: boolean;
};

/**
 * The outcome of a publication. `published`: NATS has it and sends it to all subscribed workers. `stored`: the history
 * has it. `delivered` and `buffered`: reported by the worker of the target connection. `forwarded`: a Workerman worker
 * has it, which reports no outcome.
 */
export type PublishResult = Accepted | Failure;
export type Accepted = ({ readonly ok: true; readonly status: "published" | DeliveredStatus } | Stored) & {
  readonly receipt?: Receipt;
};
export type AcceptedStatus = Accepted["status"];
type Stored = {
  readonly ok: true;
  readonly status: "stored";
  /** Never empty. For several topics one each, in their order. */
  readonly positions: readonly Position[];
  /** Nothing was stored by this request, because the history already had a publication with this id. */
  readonly isDuplicate: boolean;
};

type DeliveredStatus = Exclude<DeliveryOutcome, "no-connection" | "uncarried">;

export const PUBLISHED: PublishResult = { ok: true, status: "published" };

/** Translates a worker's reply about a publication to one of its connections. */
export function fromDelivery(outcome: DeliveryOutcome): PublishResult {
  if (outcome === "no-connection") return { ok: false, reason: "connection-not-found" };
  return outcome === "uncarried" ? { ok: false, reason: "uncarried" } : { ok: true, status: outcome };
}

/**
 * Returns the positions of the stored publications of one request. Duplicates are among them, because an attempt of this
 * request without an answer may have stored them.
 */
export function storedPositions(results: readonly PublishResult[]): string[] {
  return results.flatMap((result) =>
    result.ok && result.status === "stored" ? result.positions.map(formatPosition) : [],
  );
}

/** Returns the receipt of a publication to one connection. Its worker's reply is all that is known. */
export function receiptOfConnection(status: DeliveredStatus): Receipt {
  const complete = status !== "forwarded";
  return {
    delivered: status === "delivered" ? 1 : 0,
    buffered: status === "buffered" ? 1 : 0,
    workers: complete ? 1 : 0,
    missing: complete ? 0 : 1,
    complete,
  };
}

/**
 * Combines the results of one request's publications. If only some were accepted, the result is `unconfirmed`, because
 * the request was carried out in part. The caller may repeat it with the same id.
 */
export function resultOfAll(results: readonly PublishResult[]): PublishResult {
  const [first] = results;
  if (first === undefined) throw new RangeError("a request must have at least one publication");
  const failures = results.filter((result) => !result.ok);
  if (failures.length === 0) return acceptedOfAll(first, results);

  const failure = failures.find(({ reason }) => reason === "unconfirmed") ?? failures[0] ?? first;
  return failures.length === results.length ? failure : { ...failure, ok: false, reason: "unconfirmed" };
}

function acceptedOfAll(first: PublishResult, results: readonly PublishResult[]): PublishResult {
  const stored = results.filter((result) => result.ok && result.status === "stored");
  if (stored.length === 0) return first;
  return {
    ok: true,
    status: "stored",
    positions: stored.flatMap(({ positions }) => positions),
    isDuplicate: stored.every(({ isDuplicate }) => isDuplicate),
  };
}

/** Failures of NATS. They do not depend on the publication. */
const NATS_FAILURES: ReadonlySet<FailureReason> = new Set([
  "unavailable",
  "unconfirmed",
  "forbidden",
  "no-jetstream",
  "unusable",
]);

/**
 * Returns the failure of a whole batch if NATS failed for all of it. `unconfirmed` takes precedence, because the batch
 * may have been sent as soon as one publication may have been.
 */
export function failureOfAll(results: readonly PublishResult[]): Failure | undefined {
  const failures = results.filter((result) => !result.ok);
  if (failures.length < results.length || !failures.every(({ reason }) => NATS_FAILURES.has(reason))) return undefined;
  return failures.find(({ reason }) => reason === "unconfirmed") ?? failures[0];
}
