import * as z from "zod";
import { isWorkerId, parseConnectionAddress } from "./connection-address.ts";
import { isName } from "./names.ts";
import { isTopicPattern, patternsOverlap } from "./topics.ts";

/** Kinds of what workers report to a trace. */
export const reportedKinds = ["connection", "subscription", "recovery"] as const;
export type ReportedKind = (typeof reportedKinds)[number];

/** Kinds of what a trace shows. Publications come from their NATS subjects, not from workers. */
export const traceKinds = ["publication", ...reportedKinds] as const;
export type TraceKind = (typeof traceKinds)[number];

/**
 * Selects the events of a trace. Without any of these it shows everything, with several those that match one of them.
 */
export type TraceFilter = {
  /** A topic or pattern. */
  readonly topic?: string | undefined;
  readonly user?: string | undefined;
  /** Address of a connection. */
  readonly connection?: string | undefined;
};

const topic = z.string().refine(isTopicPattern);
const user = z.string().refine(isName);
const connection = z.string().refine((text) => parseConnectionAddress(text) !== undefined);

/** Request to all workers to report to a trace for some time. A later one for the same trace renews it. */
export const traceLease = z.object({
  trace: z.string().regex(/^[a-z0-9]{1,40}$/),
  kinds: z.array(z.enum(reportedKinds)),
  topic: topic.optional(),
  user: user.optional(),
  connection: connection.optional(),
  /** Time until the workers forget the trace; 0 ends it now. */
  leaseMs: z.int().nonnegative().max(60_000),
});
export type TraceLease = z.infer<typeof traceLease>;

/** Reply to a lease: the worker reports from now on. */
export const traceLeaseReply = z.object({ worker: z.string().refine(isWorkerId) });

const at = z.string().max(40).describe("Time on the worker: ISO 8601, UTC.");

/** A connection that was opened or closed, as a trace shows it. */
export const tracedConnection = z.object({
  at,
  state: z.enum(["opened", "closed"]),
  connection,
  protocol: z.string().max(100),
  user: user.optional(),
  /** Absent for a closed WebSocket, of which uWebSockets.js no longer knows it. */
  remoteAddress: z.string().max(100).optional(),
  /** Close code. */
  code: z.int().optional(),
  /** Why it was closed: the reason of the close frame, or the limit that it exceeded. */
  reason: z.string().max(1_000).optional(),
});
export type TracedConnection = z.infer<typeof tracedConnection>;

/** A subscription that a connection began or ended, as a trace shows it. */
export const tracedSubscription = z.object({
  at,
  state: z.enum(["subscribed", "unsubscribed"]),
  connection,
  user: user.optional(),
  topic,
});
export type TracedSubscription = z.infer<typeof tracedSubscription>;

/** The outcome of a resume, as a trace shows it. */
export const tracedRecovery = z.object({
  at,
  connection,
  topics: z.array(topic).optional(),
  /** Number of further topics. */
  omittedTopics: z.int().optional(),
  /** Null: the client closed the connection before the outcome was known. */
  recovered: z.boolean().nullable(),
  /** Why it did not recover. */
  reason: z.string().max(100).optional(),
  /** Number of missed publications that the worker sends. */
  replayed: z.int(),
});
export type TracedRecovery = z.infer<typeof tracedRecovery>;

const tracedEvent = z.union([
  z.tuple([z.literal("connection"), tracedConnection]),
  z.tuple([z.literal("subscription"), tracedSubscription]),
  z.tuple([z.literal("recovery"), tracedRecovery]),
]);
export type TracedEvent = z.infer<typeof tracedEvent>;

/** Report of a worker to one trace. */
export const traceReport = z.object({
  worker: z.string().refine(isWorkerId),
  /** Counts the reports of the worker to the trace, from 1. */
  number: z.int().positive(),
  events: z.array(tracedEvent),
  /** Number of events that were left out since the last report; null when the worker did not count them. */
  skipped: z.int().nonnegative().nullable(),
});
export type TraceReport = z.infer<typeof traceReport>;

/** The properties of an event that a filter compares. */
export type TraceSubject = {
  readonly connection: string;
  readonly user: string | undefined;
  readonly topics: Iterable<string>;
};

/**
 * Whether a trace with this filter shows an event of a connection. A pattern matches every topic or pattern that it
 * overlaps.
 */
export function isTraced(filter: TraceFilter, { connection, user, topics }: TraceSubject): boolean {
  const { topic: pattern } = filter;
  if (pattern === undefined && filter.user === undefined && filter.connection === undefined) return true;
  if (filter.connection === connection || (filter.user !== undefined && filter.user === user)) return true;
  if (pattern === undefined) return false;
  for (const each of topics) if (patternsOverlap(pattern, each)) return true;
  return false;
}
