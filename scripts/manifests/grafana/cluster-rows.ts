import type { Row } from "./model.ts";
import { latency, of, perSecond, sum } from "./queries.ts";

const sequence = "fanwire_pusher_history_sequence";

export const overview: Row = {
  title: "Overview",
  kind: "stat",
  charts: [
    { title: "Connections", unit: "short", queries: [[sum("fanwire_pusher_connections"), "connections"]] },
    {
      title: "Publications",
      about: "Accepted by publishers. The outcomes of failures contain an underscore, except unconfirmed.",
      unit: "cps",
      queries: [[perSecond("fanwire_publisher_publications_total", undefined, 'outcome!~".*_.*|unconfirmed"'), ""]],
    },
    { title: "Deliveries", unit: "cps", queries: [[perSecond("fanwire_pusher_deliveries_total"), ""]] },
    {
      title: "Ready",
      about: "Share of the processes that are ready.",
      unit: "percentunit",
      queries: [[`avg(${of("fanwire_ready")})`, ""]],
      redAt: 1,
      isLow: true,
    },
    {
      title: "NATS",
      about: "1 if every process reaches NATS.",
      unit: "short",
      queries: [[`min(${of("fanwire_nats_up")})`, ""]],
      redAt: 1,
      isLow: true,
    },
    {
      title: "Event loop, p99",
      about: "Longest delay of an event loop, of the slowest process.",
      unit: "s",
      queries: [[`max(${of("nodejs_eventloop_lag_p99_seconds")})`, ""]],
      redAt: 0.1,
    },
    { title: "API latency, p99", unit: "s", queries: [[latency(0.99, "le"), ""]], redAt: 1 },
    {
      title: "Firing alerts",
      unit: "short",
      queries: [['count(ALERTS{alertname=~"Fanwire.*", alertstate="firing"}) or vector(0)', ""]],
      redAt: 1,
    },
  ],
};

export const clients: Row = {
  title: "Clients",
  kind: "timeseries",
  charts: [
    {
      title: "Connections",
      unit: "short",
      queries: [
        [`sum by (instance) (${of("fanwire_pusher_connections")})`, "{{instance}}"],
        [sum("fanwire_pusher_connections_limit"), "limit of all"],
      ],
    },
    {
      title: "Opened and closed connections",
      unit: "cps",
      queries: [
        [perSecond("fanwire_pusher_connections_accepted_total"), "opened"],
        [perSecond("fanwire_pusher_connections_closed_total", "code"), "closed with {{code}}"],
      ],
    },
    {
      title: "Refused handshakes",
      unit: "cps",
      queries: [[perSecond("fanwire_pusher_connections_refused_total", "reason"), "{{reason}}"]],
    },
    {
      title: "Deliveries",
      unit: "cps",
      queries: [[perSecond("fanwire_pusher_deliveries_total", "instance"), "{{instance}}"]],
    },
    {
      title: "Delivered content",
      unit: "Bps",
      queries: [[perSecond("fanwire_pusher_delivered_bytes_total", "instance"), "{{instance}}"]],
    },
    {
      title: "Publications received by workers",
      about: "Each worker with a subscriber receives a publication once.",
      unit: "cps",
      queries: [[perSecond("fanwire_pusher_publications_total", "target"), "{{target}}"]],
    },
    {
      title: "Slow consumers",
      unit: "short",
      queries: [[`sum by (instance) (${of("fanwire_pusher_slow_consumers")})`, "{{instance}}"]],
    },
    {
      title: "Connections closed by limits, and drops",
      unit: "cps",
      queries: [
        [perSecond("fanwire_pusher_connections_ended_total", "limit"), "{{limit}}"],
        [perSecond("fanwire_pusher_drops_total"), "dropped deliveries"],
      ],
    },
    {
      title: "Buffers of workers",
      about: "Bytes for slow consumers, replays and known members.",
      unit: "bytes",
      queries: [
        [sum("fanwire_pusher_slow_consumer_bytes"), "slow consumers"],
        [sum("fanwire_pusher_budget_bytes"), "replays and backlogs"],
        [sum("fanwire_pusher_presence_bytes"), "members"],
      ],
    },
  ],
};

export const history: Row = {
  title: "History and recovery",
  kind: "timeseries",
  charts: [
    {
      title: "Lag",
      about: "Durable publications behind the furthest worker. A difference for one scrape is normal.",
      unit: "short",
      queries: [
        [
          `max by (cluster, namespace, job) (${sequence}{job=~"$job"}) - on (cluster, namespace, job) group_right () ${of(sequence)}`,
          "{{instance}} worker {{slot}}",
        ],
      ],
    },
    {
      title: "Recoveries",
      about: "Clients that resumed from a position: recovered, or why recovery could not be proved.",
      unit: "cps",
      queries: [[perSecond("fanwire_pusher_resumed_total", "outcome"), "{{outcome}}"]],
    },
    {
      title: "Waiting, fetched and missed publications",
      unit: "short",
      queries: [
        [sum("fanwire_pusher_history_waiting"), "waiting"],
        [perSecond("fanwire_pusher_history_fetched_total"), "fetched per second"],
        [perSecond("fanwire_pusher_history_missed_total"), "missed per second"],
      ],
    },
  ],
};
