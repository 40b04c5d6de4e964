import type { PublishPlan } from "../pacer.ts";

/** What the process with the peers is asked. */
export type PeerCalls = {
  /** Connects the subscribers, and a publisher where there is a port for one. */
  open: { ask: { subscriberPort: number; publisherPort: number | null; subscribers: number }; answer: null };
  /** Publishes by the clock; answers the moment of the start. */
  publish: { ask: PublishPlan; answer: number };
  /** Publishes as fast as the subscribers get it; answers the moment of the start. */
  publishFlatOut: { ask: { first: number; count: number }; answer: number };
  /** Waits until every subscriber has had `total` events. */
  settle: { ask: { total: number; quietMs: number }; answer: PeerReport };
};

type PeerReport = {
  /** When the last event came. */
  settledAtMicros: number;
  /** Events that came twice or out of order, or never. */
  faults: number;
};

/** What the plain server is asked. */
export type PlainCalls = {
  listen: { ask: null; answer: { port: number } };
  publish: { ask: PublishPlan; answer: number };
};
