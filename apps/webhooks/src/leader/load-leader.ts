import type { Bus, Journal } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { WebhooksConfig } from "../config.ts";
import type { Counters } from "../counters.ts";
import type { AnnouncedState } from "./announced-state.ts";
import { applyStored, loadState } from "./checkpoint.ts";
import { EndpointSenders } from "./endpoint-senders.ts";
import { EventLog } from "./event-log.ts";
import type { Lease } from "./lease.ts";
import { Records } from "./records.ts";

export type LeaderParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** The events. */
  readonly events: Journal;
  /** The records that a leader leaves to the next one. */
  readonly journal: Journal;
  readonly config: WebhooksConfig;
  readonly counters: Counters;
  readonly log: Log;
};

/** State that a leader takes over from the one before. */
export type Loaded = {
  readonly state: AnnouncedState;
  readonly eventLog: EventLog;
  readonly senders: EndpointSenders;
  readonly records: Records;
};

/**
 * Loads the state that former leaders have left.
 *
 * @param fail called when this leader cannot continue.
 * @throws errors of the NATS and JetStream clients.
 */
export async function loadLeader(parts: LeaderParts, lease: Lease, fail: (error: unknown) => void): Promise<Loaded> {
  const { subjects, events, journal, log } = parts;
  const records = new Records(journal, subjects);
  const { state, through, lastSequence } = await loadState(events, records, log);
  const eventLog = new EventLog(lastSequence, {
    journal: events,
    subjects,
    onStored: (sequence, event) => senders.onStored(sequence, event),
    onFailed: fail,
  });
  await applyStored(state, through, eventLog);
  const senders: EndpointSenders = await EndpointSenders.load({ ...parts, records, eventLog, lease, fail });
  return { state, eventLog, senders, records };
}
