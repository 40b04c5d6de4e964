import type { PublishPlan } from "../pacer.ts";

/** Calls of the process with the peers. */
export type PeerCalls = {
  /** Connects the subscribers, and a publisher if it has a port. */
  open: { ask: { subscriberPort: number; publisherPort: number | null; subscribers: number }; answer: null };
  /** Publishes at a fixed rate. Returns the time of the start. */
  publish: { ask: PublishPlan; answer: number };
  /** Publishes as fast as the subscribers receive. Returns the time of the start. */
  publishFlatOut: { ask: { first: number; count: number }; answer: number };
  /** Waits until every subscriber has received `total` events. */
  settle: { ask: { total: number; quietMs: number }; answer: PeerReport };
};

type PeerReport = {
  /** Time of the last event. */
  settledAtMicros: number;
  /** Events that are repeated, out of order or missing. */
  faults: number;
};

/** Calls of the plain server. */
export type PlainCalls = {
  listen: { ask: null; answer: { port: number } };
  publish: { ask: PublishPlan; answer: number };
};
