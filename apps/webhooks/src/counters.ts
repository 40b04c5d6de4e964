import { type EventName, eventNames } from "@fanwire/protocol";

export type DeliveryCounts = { delivered: number; failed: number; dead: number };

/** Counts since the start of the process. */
export type Counters = {
  readonly events: Record<EventName, number>;
  /** Events dropped because too many waited to be stored. */
  droppedEvents: number;
  /** Events that JetStream dropped before they were delivered. */
  lostEvents: number;
  snapshots: number;
  /** By endpoint. */
  readonly deliveries: Map<string, DeliveryCounts>;
};

export function newCounters(): Counters {
  return {
    events: Object.fromEntries(eventNames.map((name) => [name, 0])) as Record<EventName, number>, // one entry a name
    droppedEvents: 0,
    lostEvents: 0,
    snapshots: 0,
    deliveries: new Map(),
  };
}
