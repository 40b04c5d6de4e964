import {
  type DeliveryOutcome,
  type DurableTarget,
  formatConnectionAddress,
  formatPosition,
  headerNames,
  type Position,
  type Publication,
  type Subjects,
} from "@fanwire/protocol";

/** One parsed request. */
export type PublishRequest = {
  /** One, or one for each of several topics. */
  readonly publications: readonly Publication[];
  /** Whether the publications are stored in the history, which republishes them. */
  readonly isDurable: boolean;
  /** Whether to say who got it. */
  readonly wantsReceipt: boolean;
};

/** Number of deliveries of one request: one for each matching subscription. */
export type Receipt = {
  /** Connections it was handed to that hold nothing unsent. */
  readonly delivered: number;
  /** Connections that hold it, or what came before it, because they read slowly. */
  readonly buffered: number;
  /** Workers that said so. */
  readonly workers: number;
  /** Workers that did not say so in time: their connections are not counted, or not all. */
  readonly missing: number;
  /** All workers that there are said so. */
  readonly complete: boolean;
};

/**
 * Requests that follow each other and are alike. `plain`: one publication each, which NATS alone takes and confirms: nobody is asked
 * what became of it. `durable`: stored in the history. `asked`: workers are asked what became of it.
 */
export type Run = { readonly kind: "plain" | "asked" | "durable"; readonly requests: PublishRequest[] };

export function runsOf(requests: readonly PublishRequest[]): Run[] {
  const runs: Run[] = [];
  for (const request of requests) {
    const last = runs.at(-1);
    const kind = kindOf(request);
    if (last?.kind === kind) last.requests.push(request);
    else runs.push({ kind, requests: [request] });
  }
  return runs;
}

function kindOf({ publications, isDurable, wantsReceipt }: PublishRequest): Run["kind"] {
  if (isDurable) return "durable";
  const isPlain = !wantsReceipt && publications.length === 1 && publications[0]?.target.kind !== "connection";
  return isPlain ? "plain" : "asked";
}

/** A publication as it goes to NATS. */
export type OutgoingPublication = {
  readonly subject: string;
  readonly content: Uint8Array;
  readonly headers: readonly (readonly [name: string, value: string])[];
};

/**
 * What is known of a publication after it was handed over. `published`: NATS has it, for whoever listens. `delivered` and
 * `buffered`: the worker's own word about its connection. `forwarded`: a Workerman worker has it, and says no more.
 * `stored`: the history has it.
 */
export type PublishResult = Accepted | Refused;
export type Accepted = ({ readonly ok: true; readonly status: "published" | DeliveredStatus } | Stored) & {
  readonly receipt?: Receipt;
};
type Stored = {
  readonly ok: true;
  readonly status: "stored";
  /** Never empty; several when it went to several topics, in their order. */
  readonly positions: readonly Position[];
  /** Nothing was stored now: it had been, under the same id. */
  readonly isDuplicate: boolean;
};
export type Refused = {
  readonly ok: false;
  readonly reason: PublishRefusal;
  /** Why, for people, where the reason does not say it all. */
  readonly detail?: string;
};

type DeliveredStatus = Exclude<DeliveryOutcome, "gone">;

export type PublishRefusal =
  | "connection-not-found"
  | "too-large"
  /** Not sent. */
  | "unavailable"
  /** Sent; whether NATS has it is unknown. */
  | "unconfirmed"
  | "forbidden"
  /** Not stored: there is no log here. */
  | "no-jetstream"
  /** Not stored: the history cannot take it now, or at all. */
  | "unusable"
  /** Sent; whether the worker delivered it is unknown. */
  | "worker-timeout"
  /** Sent; the worker's answer does not say what became of it. */
  | "malformed-reply";

export function encodePublication(subjects: Subjects, publication: Publication): OutgoingPublication {
  return { subject: subjects.live(publication.target), ...encodeBody(publication) };
}

/** A publication as it goes to the history. */
export function encodeDurable(
  subjects: Subjects,
  publication: Publication & { readonly target: DurableTarget },
): OutgoingPublication {
  return { subject: subjects.history(publication.target), ...encodeBody(publication) };
}

function encodeBody({ content, event, id, receipt, except }: Publication): Omit<OutgoingPublication, "subject"> {
  const headers: [string, string][] = [];
  if (event !== undefined) headers.push([headerNames.event, event]);
  if (id !== undefined) headers.push([headerNames.id, id]);
  if (receipt !== undefined) headers.push([headerNames.receipt, receipt]);
  if (except !== undefined) headers.push([headerNames.except, formatConnectionAddress(except)]);
  return { content, headers };
}

/** Translates a worker's answer about a publication to one of its connections. */
export function fromDelivery(outcome: DeliveryOutcome): PublishResult {
  return outcome === "gone" ? { ok: false, reason: "connection-not-found" } : { ok: true, status: outcome };
}

/** Where something stands in the history: its subject there, and its position. */
export type StoredAt = { readonly subject: string; readonly position: string };

/** Returns the publications that one request stored, without duplicates of stored ones. */
export function storedNow(
  subjects: Subjects,
  publications: readonly Publication[],
  results: readonly PublishResult[],
): StoredAt[] {
  return publications.flatMap(({ target }, at) => {
    const result = results[at];
    if (target.kind === "connection" || !result?.ok || result.status !== "stored" || result.isDuplicate) return [];
    return result.positions.map((each) => ({ subject: subjects.history(target), position: formatPosition(each) }));
  });
}

/** The receipt of a publication to one connection: its worker's word is all there is to know. */
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
 * What became of one request, from what became of its publications. When only some were accepted, the request may have been
 * done: repeated with its id, it is done once.
 */
export function resultOfAll(results: readonly PublishResult[]): PublishResult {
  const [first] = results;
  if (first === undefined) throw new RangeError("a request holds at least one publication");
  const refused = results.filter((result) => !result.ok);
  if (refused.length === 0) return acceptedOfAll(first, results);

  const careful = refused.find(({ reason }) => reason === "unconfirmed") ?? refused[0] ?? first;
  return refused.length === results.length ? careful : { ...careful, ok: false, reason: "unconfirmed" };
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

/** Refusals that say nothing about the publication itself: NATS could not be used. */
const NATS_REFUSALS: ReadonlySet<PublishRefusal> = new Set([
  "unavailable",
  "unconfirmed",
  "forbidden",
  "no-jetstream",
  "unusable",
]);

/**
 * The refusal of a whole batch, when NATS was away for all of it. The careful word wins: as soon as one publication may
 * have been sent, the batch may have been.
 */
export function refusalOfAll(results: readonly PublishResult[]): Refused | undefined {
  const refused = results.filter((result) => !result.ok);
  if (refused.length < results.length || !refused.every(({ reason }) => NATS_REFUSALS.has(reason))) return undefined;
  return refused.find(({ reason }) => reason === "unconfirmed") ?? refused[0];
}
