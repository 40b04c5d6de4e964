import { isWorkerId, parseConnectionAddress } from "./connection-address.ts";
import { isName } from "./names.ts";
import { isTopic } from "./topics.ts";

/** Every event of the cluster that webhooks and NATS subscribers can receive. */
export const eventNames = [
  "connection_opened",
  "connection_closed",
  "topic_occupied",
  "topic_vacated",
  "member_joined",
  "member_left",
  "client_published",
  "cache_miss",
  "subscription_count",
] as const;
export type EventName = (typeof eventNames)[number];

/** An event of the cluster, as NATS subscribers and webhooks receive it in JSON. */
export type ClusterEvent = {
  /** Unique. A receiver that gets an event twice knows it by this. */
  readonly id: string;
  readonly name: EventName;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly topic?: string;
  readonly user?: string;
  /** Address of a connection. */
  readonly connection?: string;
  /** Name of the client protocol of a connection. */
  readonly protocol?: string;
  /** Close code of a connection. */
  readonly code?: number;
  /** Event name of a client's publication. */
  readonly event?: string;
  /** Content of a client's publication. */
  readonly data?: string;
  /** Present if `data` is not the content as text. */
  readonly encoding?: "base64";
  /** Number of subscriptions to a topic. */
  readonly count?: number;
};

/**
 * One fact in a worker's report. A topic is occupied while the worker has a subscriber of it. A member is present while
 * the user has a connection with presence on the worker. An event that concerns this worker alone carries the worker's
 * number of it, which counts from 1.
 */
export type ReportedFact =
  | readonly ["occupied" | "vacated", topic: string]
  | readonly ["joined" | "left", topic: string, user: string]
  | readonly ["count", topic: string, subscriptions: number]
  | readonly ["event", number: number, event: ClusterEvent];

/**
 * Report of a worker about itself. `number` counts the reports with facts; a report without facts is a heartbeat and
 * repeats the number of the last one.
 */
export type WorkerReport = {
  readonly worker: string;
  readonly number: number;
  readonly facts: readonly ReportedFact[];
  /** True in the last report of a worker that stops. */
  readonly ended?: boolean;
};

/** Request for a page of a worker's snapshot. Without `id` the worker takes a new snapshot. */
export type SnapshotRequest = { readonly id?: string; readonly from?: number };

/** A page of the state that all reports up to `number` have led to, and of the events that the worker still keeps. */
export type SnapshotPage = {
  readonly worker: string;
  readonly id: string;
  readonly number: number;
  readonly facts: readonly ReportedFact[];
  /** Where the next page begins; absent on the last page. */
  readonly next?: number;
};

/** Returns undefined for anything that no worker sends. */
export function parseWorkerReport(text: string): WorkerReport | undefined {
  const value = parseObject(text);
  if (value === undefined || !isCount(value.number) || !isWorker(value.worker)) return undefined;
  if (!Array.isArray(value.facts)) return undefined;
  return {
    worker: value.worker,
    number: value.number,
    facts: value.facts.filter(isFact),
    ...(value.ended === true && { ended: true }),
  };
}

/** Returns undefined for anything that no worker sends. */
export function parseSnapshotPage(text: string): SnapshotPage | undefined {
  const value = parseObject(text);
  if (value === undefined || !isCount(value.number) || !isWorker(value.worker)) return undefined;
  const { id, next, facts } = value;
  if (typeof id !== "string" || !Array.isArray(facts) || (next !== undefined && !isCount(next))) return undefined;
  const page = { worker: value.worker, id, number: value.number, facts: facts.filter(isFact) };
  return next === undefined ? page : { ...page, next };
}

/** Returns undefined for anything that is no request for a page. */
export function parseSnapshotRequest(text: string): SnapshotRequest | undefined {
  const value = parseObject(text);
  if (value === undefined) return undefined;
  const { id, from } = value;
  if (id !== undefined && typeof id !== "string") return undefined;
  if (from !== undefined && !isCount(from)) return undefined;
  return { ...(id !== undefined && { id }), ...(from !== undefined && { from }) };
}

/** Returns undefined for text that is no event of the cluster. */
export function parseClusterEvent(text: string): ClusterEvent | undefined {
  const value = parseObject(text);
  return isEvent(value) ? value : undefined;
}

function isFact(value: unknown): value is ReportedFact {
  if (!Array.isArray(value)) return false;
  const [kind, first, second] = value as unknown[]; // the elements are checked below
  switch (kind) {
    case "occupied":
    case "vacated":
      return isTopicName(first);
    case "joined":
    case "left":
      return isTopicName(first) && typeof second === "string" && isName(second);
    case "count":
      return isTopicName(first) && isCount(second);
    case "event":
      return isCount(first) && isEvent(second);
    default:
      return false;
  }
}

const NAMES: ReadonlySet<unknown> = new Set(eventNames);
const TEXTS = ["user", "protocol", "event", "data"] as const;

function isEvent(value: unknown): value is ClusterEvent {
  if (typeof value !== "object" || value === null) return false;
  const event = value as Record<string, unknown>; // its members are checked here
  if (!NAMES.has(event.name) || !isText(event.id) || !isText(event.time)) return false;
  // Both become part of a subject. NATS closes a connection that sends a long one.
  if (event.topic !== undefined && !isTopicName(event.topic)) return false;
  if (event.connection !== undefined && !isAddress(event.connection)) return false;
  // JSON.stringify throws for a member that is nested too deeply.
  if (Object.values(event).some((member) => typeof member === "object")) return false;
  return TEXTS.every((name) => event[name] === undefined || typeof event[name] === "string");
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function isTopicName(value: unknown): value is string {
  return typeof value === "string" && isTopic(value);
}

function isAddress(value: unknown): boolean {
  return typeof value === "string" && parseConnectionAddress(value) !== undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isWorker(value: unknown): value is string {
  return typeof value === "string" && isWorkerId(value);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
