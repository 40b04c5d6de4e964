import type { StreamDescription } from "@fanwire/bus";
import type { ServiceDescription, WorkerDescription } from "@fanwire/protocol";
import { type Io, paint } from "../io.ts";
import { formatDuration } from "../tokens/duration.ts";
import { bytes, type Column, count, drawTable } from "./table.ts";

const DEFAULT_WIDTH = 120;

/** The cluster at one moment, as the HTTP API describes it. */
export type ClusterView = {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Why there is no answer. */
  readonly error?: string;
  readonly cluster?: {
    readonly workers: readonly WorkerDescription[];
    readonly missing?: readonly string[];
    readonly complete?: boolean;
    readonly services?: readonly ServiceDescription[];
    readonly history?: StreamDescription | null;
  };
  readonly topics?: {
    readonly topics: readonly { readonly topic: string; readonly connections: number }[];
    readonly total?: number;
    readonly exact?: boolean;
  };
};

const workerColumns: readonly Column<WorkerDescription>[] = [
  { title: "WORKER", cell: ({ id }) => id },
  { title: "HOST", cell: ({ host }) => host },
  { title: "VERSION", cell: ({ version }) => version },
  { title: "UP", cell: ({ uptimeSeconds }) => formatDuration(uptimeSeconds) },
  { title: "CONNECTIONS", isNumber: true, cell: ({ connections }) => count(connections) },
  { title: "USERS", isNumber: true, cell: ({ users }) => count(users) },
  { title: "TOPICS", isNumber: true, cell: ({ topics }) => count(topics) },
  { title: "IN/S", isNumber: true, cell: ({ rates }) => count(rates.publicationsPerSecond) },
  { title: "OUT/S", isNumber: true, cell: ({ rates }) => count(rates.deliveriesPerSecond) },
  { title: "UNSENT", isNumber: true, cell: ({ unsentBytes }) => bytes(unsentBytes) },
  { title: "MEMORY", isNumber: true, cell: ({ memory }) => bytes(memory?.residentBytes) },
  { title: "DELAY MS", isNumber: true, cell: ({ eventLoopDelayMs }) => count(eventLoopDelayMs) },
  { title: "HISTORY", cell: ({ history }) => (history === undefined ? "–" : history.isCurrent ? "current" : "behind") },
  { title: "NATS", cell: ({ nats }) => nats?.name ?? "–" },
];

const serviceColumns: readonly Column<ServiceDescription>[] = [
  { title: "SERVICE", cell: ({ kind }) => kind },
  { title: "ID", cell: ({ id }) => id },
  { title: "HOST", cell: ({ host }) => host },
  { title: "VERSION", cell: ({ version }) => version },
  { title: "UP", cell: ({ uptimeSeconds }) => formatDuration(uptimeSeconds) },
  { title: "MEMORY", isNumber: true, cell: ({ memory }) => bytes(memory?.residentBytes) },
  { title: "DELAY MS", isNumber: true, cell: ({ eventLoopDelayMs }) => count(eventLoopDelayMs) },
  { title: "NATS", cell: ({ nats }) => nats?.name ?? "–" },
];

/** Returns the whole screen as lines. Values without an answer are shown as –, never as 0. */
export function drawScreen(
  io: Io,
  { at, error, cluster, topics, url }: ClusterView & { readonly url: string },
): string {
  const width = io.columns ?? DEFAULT_WIDTH;
  const lines = [`${paint(io, "bold", "Fanwire")} ${url}  ${at.slice(0, 19).replace("T", " ")} UTC`];
  if (error !== undefined) lines.push("", paint(io, "red", error));
  if (cluster !== undefined)
    lines.push(totals(cluster), "", ...titled(io, drawTable(workerColumns, cluster.workers, width)));
  const gap = cluster === undefined ? undefined : gapLine(cluster);
  if (gap !== undefined) lines.push(paint(io, "yellow", gap));
  if (cluster?.services?.length) lines.push("", ...titled(io, drawTable(serviceColumns, cluster.services, width)));
  if (cluster !== undefined) lines.push("", historyLine(cluster.history));
  if (topics !== undefined && topics.topics.length > 0) lines.push("", ...titled(io, drawTopics(topics, width)));
  return lines.join("\n");
}

function gapLine({ missing = [], complete }: NonNullable<ClusterView["cluster"]>): string | undefined {
  if (missing.length > 0) return `${missing.length} known workers do not answer: ${missing.join(" ")}`;
  return complete === false ? "More workers may run: the publisher does not know all of them yet" : undefined;
}

function totals({ workers, missing = [] }: NonNullable<ClusterView["cluster"]>): string {
  const sum = (of: (worker: WorkerDescription) => number) => count(workers.reduce((all, each) => all + of(each), 0));
  const of = missing.length === 0 ? "" : " without those that do not answer";
  return [
    `${workers.length} workers`,
    `${sum(({ connections }) => connections)} connections`,
    `${sum(({ rates }) => rates.deliveriesPerSecond)} deliveries/s`,
    `${sum(({ rates }) => rates.acceptedPerSecond)} new connections/s${of}`,
  ].join("   ");
}

function historyLine(history: StreamDescription | null | undefined): string {
  if (history === undefined || history === null) return "History: none, or it did not answer";
  const { messages, bytes: used, maxBytes, lastPosition, leader, replicas = [] } = history;
  const behind = replicas.filter(({ isCurrent }) => !isCurrent).map(({ name }) => name);
  return [
    `History: ${count(messages)} publications, ${bytes(used)}${maxBytes ? ` of ${bytes(maxBytes)}` : ""}`,
    `last ${lastPosition}`,
    ...(leader === undefined ? [] : [`leader ${leader}`]),
    ...(behind.length === 0 ? [] : [`behind: ${behind.join(" ")}`]),
  ].join(", ");
}

function drawTopics({ topics, exact = true }: NonNullable<ClusterView["topics"]>, width: number): string[] {
  const title = exact ? "BUSIEST TOPICS" : "BUSIEST TOPICS (order not certain)";
  return drawTable(
    [
      { title, cell: ({ topic }) => topic },
      { title: "CONNECTIONS", isNumber: true, cell: ({ connections }) => count(connections) },
    ],
    topics,
    width,
  );
}

function titled(io: Io, [titles = "", ...lines]: readonly string[]): string[] {
  return [paint(io, "dim", titles), ...lines];
}
