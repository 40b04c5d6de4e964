import {
  type DeliveryOutcome,
  formatConnectionAddress,
  headerNames,
  type Publication,
  type Subjects,
} from "@fanwire/protocol";

/** A publication as it goes to NATS. */
export type OutgoingPublication = {
  readonly subject: string;
  readonly content: Uint8Array;
  readonly headers: readonly (readonly [name: string, value: string])[];
};

/**
 * What is known of a publication after it was handed over. `published`: NATS has it, for whoever listens. `delivered` and
 * `buffered`: the worker's own word about its connection. `forwarded`: a Workerman worker has it, and says no more.
 */
export type PublishResult =
  | { readonly ok: true; readonly status: "published" | DeliveredStatus }
  | { readonly ok: false; readonly reason: PublishRefusal };

type DeliveredStatus = Exclude<DeliveryOutcome, "gone">;

export type PublishRefusal =
  | "connection-not-found"
  | "too-large"
  /** Not sent. */
  | "unavailable"
  /** Sent; whether NATS has it is unknown. */
  | "unconfirmed"
  | "forbidden"
  /** Sent; whether the worker delivered it is unknown. */
  | "worker-timeout"
  /** Sent; the worker's answer does not say what became of it. */
  | "malformed-reply";

export function encodePublication(subjects: Subjects, publication: Publication): OutgoingPublication {
  const { target, content, event, id, except } = publication;
  const headers: [string, string][] = [];
  if (event !== undefined) headers.push([headerNames.event, event]);
  if (id !== undefined) headers.push([headerNames.id, id]);
  if (except !== undefined) headers.push([headerNames.except, formatConnectionAddress(except)]);
  return { subject: subjects.live(target), content, headers };
}

/** What a worker's word about a publication to one of its connections means to the publisher. */
export function fromDelivery(outcome: DeliveryOutcome): PublishResult {
  return outcome === "gone" ? { ok: false, reason: "connection-not-found" } : { ok: true, status: outcome };
}

/** Refusals that say nothing about the publication itself: NATS could not be used. */
const NATS_REFUSALS: ReadonlySet<PublishRefusal> = new Set(["unavailable", "unconfirmed", "forbidden"]);

/**
 * The refusal of a whole batch, when NATS was away for all of it. The careful word wins: as soon as one publication may
 * have been sent, the batch may have been.
 */
export function refusalOfAll(results: readonly PublishResult[]): PublishRefusal | undefined {
  const refusals = results.map((result) => (result.ok ? undefined : result.reason));
  if (!refusals.every((reason) => reason !== undefined && NATS_REFUSALS.has(reason))) return undefined;
  return refusals.find((reason) => reason === "unconfirmed") ?? refusals[0];
}
