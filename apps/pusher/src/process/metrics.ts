import { type Bus, registerBusMetrics } from "@fanwire/bus";
import { addCounter, addGauge, addLabelledCounter, createRegistry } from "@fanwire/service";
import type { Registry } from "prom-client";
import type { Counters } from "../connections/counters.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import type { Lists } from "../control/lists.ts";
import type { EventReporter } from "../events/event-reporter.ts";
import type { Traces } from "../events/traces.ts";
import type { Hub } from "../hub/hub.ts";

type Values = Readonly<Record<string, number>>;

/** Registers the metrics of a worker. They are read when a client requests them, so that the hot path has no cost. */
export function createWorkerMetrics(options: {
  readonly slot: number;
  readonly counters: Counters;
  readonly bus: Bus;
  readonly hub: Pick<
    Hub,
    | "openConnections"
    | "subscriptionCount"
    | "slowConsumers"
    | "slowConsumerBytes"
    | "receipts"
    | "frontier"
    | "presence"
    | "events"
  >;
  readonly lists: Pick<Lists, "refused">;
  readonly budget: MemoryBudget;
  readonly traces: Traces;
  readonly maxConnections: number;
}): Registry {
  const { slot, counters, bus, hub, lists, budget, traces, maxConnections } = options;
  const registry = createRegistry();
  // The slot stays the same across restarts, where each start has a new worker id.
  registry.setDefaultLabels({ slot: String(slot) });
  registerBusMetrics(registry, bus);

  const gauge = (name: string, help: string, value: () => number) => addGauge(registry, { name, help, value });
  gauge("fanwire_pusher_connections", "Open connections.", () => hub.openConnections);
  gauge(
    "fanwire_pusher_connections_limit",
    "Maximum open connections: PUSHER_MAX_CONNECTIONS, or less if the process may not open as many files.",
    () => maxConnections,
  );
  gauge(
    "fanwire_pusher_subscriptions",
    "NATS subscriptions for distinct topics, patterns and users, and for everyone.",
    () => hub.subscriptionCount,
  );
  gauge(
    "fanwire_pusher_slow_consumers",
    "Connections with a full socket, for which publications are buffered.",
    () => hub.slowConsumers,
  );
  gauge(
    "fanwire_pusher_slow_consumer_bytes",
    "Bytes buffered for slow consumers, shared by those of a protocol.",
    () => hub.slowConsumerBytes,
  );
  const counter = (name: string, help: string, value: () => number) => addCounter(registry, { name, help, value });
  const labelled = (name: string, help: string, label: string, values: () => Values) =>
    addLabelledCounter(registry, { name, help, label, values });

  counter("fanwire_pusher_connections_accepted_total", "Connections accepted.", () => counters.accepted);
  labelled(
    "fanwire_pusher_connections_refused_total",
    "Handshakes refused, by reason.",
    "reason",
    () => counters.refused,
  );
  labelled("fanwire_pusher_connections_closed_total", "Connections closed, by WebSocket close code.", "code", () =>
    Object.fromEntries(counters.closedByCode),
  );
  labelled(
    "fanwire_pusher_connections_ended_total",
    "Connections closed by a limit, by limit.",
    "limit",
    () => counters.ended,
  );
  labelled(
    "fanwire_pusher_publications_total",
    "Publications received from NATS, by target.",
    "target",
    () => counters.publications,
  );
  counter(
    "fanwire_pusher_misaddressed_total",
    "Messages from NATS to subjects that belong to no target, such as a restricted topic outside its branch. They are not delivered.",
    () => counters.misaddressed,
  );
  counter(
    "fanwire_pusher_uncarried_total",
    "Publications that a client protocol cannot carry: to Pusher clients, content that is not UTF-8 and reserved events. They are not delivered to its clients.",
    () => counters.uncarried,
  );
  labelled(
    "fanwire_pusher_resumed_total",
    "Clients that resumed from a position, by outcome: recovered, or the reason why recovery could not be proved.",
    "outcome",
    () => counters.resumed,
  );
  counter(
    "fanwire_pusher_uncounted_receipts_total",
    "Receipts that are incomplete because too many connections recovered.",
    () => hub.receipts.uncounted,
  );
  counter(
    "fanwire_pusher_history_fetched_total",
    "Durable publications fetched from the history because their content was not republished in time.",
    () => counters.historyFetched,
  );
  counter(
    "fanwire_pusher_history_missed_total",
    "Subscriptions that missed publications which the history no longer holds. Clients that can resume are closed.",
    () => counters.historyMissed,
  );
  counter(
    "fanwire_pusher_history_recreated_total",
    "Times the history was recreated or restored to an older state.",
    () => counters.historyRecreated,
  );
  counter(
    "fanwire_pusher_history_unmatched_total",
    "Messages that claimed a place in the history but were not stored there. They are not delivered.",
    () => counters.historyUnmatched,
  );
  gauge(
    "fanwire_pusher_history_waiting",
    "Durable publications that wait for the content of an earlier one.",
    () => hub.frontier.waiting,
  );
  gauge(
    "fanwire_pusher_history_sequence",
    "Sequence up to which the history was processed.",
    () => hub.frontier.position?.sequence ?? 0,
  );
  gauge("fanwire_pusher_budget_bytes", "Bytes of replays, backlogs and waiting content.", () => budget.usedBytes);
  gauge("fanwire_pusher_budget_limit_bytes", "Maximum of the budget's bytes.", () => budget.maxBytes);
  counter(
    "fanwire_pusher_budget_evictions_total",
    "Times the largest replay, backlog or waiting content was dropped because all together exceeded the budget.",
    () => budget.evictions,
  );
  addPresenceMetrics({ gauge, counter }, hub);
  counter("fanwire_pusher_deliveries_total", "Publications handed to connections.", () => counters.deliveries);
  counter(
    "fanwire_pusher_delivered_bytes_total",
    "Bytes of content handed to connections.",
    () => counters.deliveredBytes,
  );
  counter(
    "fanwire_pusher_drops_total",
    "Publications not written because a connection exceeded its unsent bytes. The connection is dropped.",
    () => counters.drops,
  );
  counter(
    "fanwire_pusher_topic_limits_total",
    "Subscriptions refused because a connection had the maximum number of topics.",
    () => counters.topicLimits,
  );
  counter(
    "fanwire_pusher_lists_refused_total",
    "Lists for publishers that were not answered because too many waited.",
    () => lists.refused,
  );
  counter(
    "fanwire_pusher_inbound_messages_total",
    "Messages and pings received from clients.",
    () => counters.inboundMessages,
  );
  addTraceMetrics({ gauge, counter }, traces);
  if (hub.events) registerEventMetrics(registry, hub.events);
  return registry;
}

function registerEventMetrics(registry: Registry, events: EventReporter): void {
  const counter = (name: string, help: string, value: () => number) => addCounter(registry, { name, help, value });
  counter(
    "fanwire_pusher_event_reports_total",
    "Reports to the webhook senders that NATS confirmed.",
    () => events.sentReports,
  );
  counter(
    "fanwire_pusher_event_reports_lost_total",
    "Reports to the webhook senders that NATS did not confirm. Webhook senders request a snapshot instead.",
    () => events.lostReports,
  );
  counter(
    "fanwire_pusher_events_dropped_total",
    "Events of the cluster that were too large for a report.",
    () => events.droppedEvents,
  );
}

type Add = (name: string, help: string, value: () => number) => void;

function addTraceMetrics({ gauge, counter }: { readonly gauge: Add; readonly counter: Add }, traces: Traces): void {
  gauge("fanwire_pusher_traces", "Open traces that this worker reports to.", () => traces.open);
  counter(
    "fanwire_pusher_trace_events_total",
    "Events reported to traces, counted once for each trace.",
    () => traces.reported,
  );
  counter(
    "fanwire_pusher_trace_events_skipped_total",
    "Events that exceeded the bounds of a trace or that NATS did not take, counted once for each trace.",
    () => traces.skipped,
  );
}

function addPresenceMetrics(
  { gauge, counter }: { readonly gauge: Add; readonly counter: Add },
  { presence }: Pick<Hub, "presence">,
): void {
  gauge(
    "fanwire_pusher_presence_members",
    "Users with connections to this worker that have joined a topic with presence, counted once for each topic.",
    () => presence.stats.members,
  );
  gauge(
    "fanwire_pusher_presence_topics",
    "Topics that connections of this worker have joined with presence.",
    () => presence.stats.topics,
  );
  gauge(
    "fanwire_pusher_presence_bytes",
    "Approximate bytes of the members on all workers that this worker knows.",
    () => presence.stats.bytes,
  );
  gauge(
    "fanwire_pusher_presence_limit_bytes",
    "Bytes of known members above which joins are refused.",
    () => presence.stats.maxBytes,
  );
  gauge(
    "fanwire_pusher_presence_workers",
    "Other workers whose members this worker knows.",
    () => presence.stats.workers,
  );
  counter(
    "fanwire_pusher_presence_questions_total",
    "Questions to other workers for their members.",
    () => presence.stats.asks,
  );
  counter(
    "fanwire_pusher_presence_gaps_total",
    "Announcements of members that were not preceded by the one before, so that the worker was asked.",
    () => presence.stats.gaps,
  );
  counter(
    "fanwire_pusher_presence_refused_total",
    "Joins refused because a topic, or this worker, had the maximum number of members.",
    () => presence.stats.refused,
  );
}
