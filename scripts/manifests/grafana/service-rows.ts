import type { Row } from "./model.ts";
import { latency, of, perSecond, rate, ratio, sum } from "./queries.ts";

/** Name of a process in a chart. */
const each = "{{job}} {{instance}}";

export const api: Row = {
  title: "HTTP API",
  kind: "timeseries",
  charts: [
    {
      title: "Requests",
      unit: "cps",
      queries: [[perSecond("fanwire_publisher_requests_total", "status"), "{{status}}"]],
    },
    {
      title: "Latency",
      about: "Without traces, which are streams.",
      unit: "s",
      queries: [
        [latency(0.5, "le"), "p50"],
        [latency(0.99, "le"), "p99"],
      ],
    },
    {
      title: "Errors",
      about: "Share of the requests that are answered with 5xx, or with 4xx.",
      unit: "percentunit",
      queries: ["5", "4"].map((digit) => [
        ratio(
          `(${perSecond("fanwire_publisher_requests_total", undefined, `status=~"${digit}.."`)} or vector(0))`,
          perSecond("fanwire_publisher_requests_total"),
        ),
        `${digit}xx`,
      ]),
    },
    {
      title: "Publications",
      unit: "cps",
      queries: [[`${perSecond("fanwire_publisher_publications_total", "outcome")} > 0`, "{{outcome}}"]],
    },
    {
      title: "Receipts",
      unit: "cps",
      queries: [[perSecond("fanwire_publisher_receipts_total", "outcome"), "{{outcome}}"]],
    },
    {
      title: "Requests in flight, and their bodies",
      about: "Share of the limit.",
      unit: "percentunit",
      queries: [
        [ratio(of("fanwire_publisher_in_flight"), of("fanwire_publisher_in_flight_limit")), "requests {{instance}}"],
        [
          ratio(of("fanwire_publisher_held_body_bytes"), of("fanwire_publisher_held_body_limit_bytes")),
          "bodies {{instance}}",
        ],
      ],
    },
  ],
};

export const processes: Row = {
  title: "Processes and NATS",
  kind: "timeseries",
  charts: [
    {
      title: "Event-loop delay, p99",
      unit: "s",
      queries: [[of("nodejs_eventloop_lag_p99_seconds"), `${each} {{slot}}`]],
    },
    { title: "Memory", unit: "bytes", queries: [[of("process_resident_memory_bytes"), `${each} {{slot}}`]] },
    {
      title: "CPU",
      about: "1 is one core.",
      unit: "short",
      queries: [[rate("process_cpu_seconds_total"), `${each} {{slot}}`]],
    },
    {
      title: "Round trip through NATS",
      unit: "s",
      queries: [[of("fanwire_nats_round_trip_seconds"), `${each} {{slot}}`]],
    },
    {
      title: "Messages through NATS",
      unit: "cps",
      queries: [
        [perSecond("fanwire_nats_received_messages_total", "job"), "{{job}} received"],
        [perSecond("fanwire_nats_sent_messages_total", "job"), "{{job}} sent"],
      ],
    },
    {
      title: "Restarts and lost connections",
      unit: "short",
      queries: [
        [`increase(${of("fanwire_pusher_worker_restarts_total")}[$__rate_interval])`, "worker restarts {{instance}}"],
        [`increase(${of("fanwire_nats_disconnects_total")}[$__rate_interval])`, `NATS lost by ${each} {{slot}}`],
      ],
    },
  ],
};

export const channel: Row = {
  title: "Channel servers",
  kind: "timeseries",
  charts: [
    { title: "Peers", unit: "short", queries: [[of("fanwire_channel_peers"), "{{instance}}"]] },
    {
      title: "Events and deliveries",
      unit: "cps",
      queries: [
        [perSecond("fanwire_channel_received_events_total"), "events"],
        [perSecond("fanwire_channel_deliveries_total"), "deliveries"],
      ],
    },
    {
      title: "Queue items",
      unit: "cps",
      queries: [[perSecond("fanwire_channel_queue_items_total", "outcome"), "{{outcome}}"]],
    },
    {
      title: "Buffers",
      about: "Share of the limit.",
      unit: "percentunit",
      queries: ["buffered", "unstored", "unconfirmed"].map((kind) => [
        ratio(of(`fanwire_channel_${kind}_bytes`), of(`fanwire_channel_${kind}_limit_bytes`)),
        `${kind} {{instance}}`,
      ]),
    },
    {
      title: "Paused peers",
      about: "Times reading from a peer was paused, by reason.",
      unit: "cps",
      queries: [[perSecond("fanwire_channel_pauses_total", "reason"), "{{reason}}"]],
    },
    {
      title: "Bridge to the cluster",
      unit: "cps",
      queries: [
        [perSecond("fanwire_channel_bridged_total", "direction"), "{{direction}}"],
        [perSecond("fanwire_channel_bridge_losses_total"), "lost"],
      ],
    },
  ],
};

export const webhooks: Row = {
  title: "Webhooks",
  kind: "timeseries",
  charts: [
    {
      title: "Deliveries",
      unit: "cps",
      queries: [[perSecond("fanwire_webhooks_deliveries_total", "endpoint, outcome"), "{{endpoint}} {{outcome}}"]],
    },
    {
      title: "Waiting events",
      unit: "short",
      queries: [
        [sum("fanwire_webhooks_waiting_events"), "for an endpoint"],
        [sum("fanwire_webhooks_unstored_events"), "for JetStream"],
      ],
    },
    {
      title: "Age of the oldest waiting event",
      unit: "s",
      queries: [[`max(${of("fanwire_webhooks_oldest_waiting_seconds")})`, "oldest"]],
    },
  ],
};
