import { type Bus, type BusMessage, type BusSubscription, parseJson } from "@fanwire/bus";
import {
  formatConnectionAddress,
  type ReportedKind,
  type Subjects,
  type TracedEvent,
  type TracedRecovery,
  traceLease,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { remoteAddressOf } from "../connections/client-address.ts";
import type { Connection } from "../connections/connection.ts";
import type { EndedBy } from "../connections/counters.ts";
import { countMembers, membersOf } from "../connections/small-set.ts";
import { TraceWriter } from "./trace-writer.ts";

const REPORT_EVERY_MS = 100;
const REPORTS_PER_SECOND = 10;
/** Maximum open traces. Workers refuse further ones: a report without a count shows that they left out events. */
const MAX_TRACES = 64;
/** Maximum topics in one event. */
const MAX_TOPICS = 10;

type TracesParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  readonly log: Log;
};

/** An event of one connection. Its text is built only if a trace shows it. */
type Happening = {
  readonly kind: ReportedKind;
  readonly connection: Connection;
  readonly topics: Iterable<string>;
  readonly topicCount: number;
  event(address: { readonly at: string; readonly connection: string }): TracedEvent;
};

/** The result of a resume; null when the client closed the connection before it was known. */
type Resumed = Pick<TracedRecovery, "recovered" | "reason" | "replayed">;

/**
 * Reports what happens to connections of this worker to the traces that publishers have opened. A publisher renews each
 * of its traces every few seconds, and the worker forgets a trace that is not renewed.
 */
export class Traces {
  /** Undefined while no trace is open, so that a connection costs one comparison then. */
  active: Traces | undefined;

  readonly #parts: TracesParts;
  readonly #writers = new Map<string, TraceWriter>();
  readonly #leases: BusSubscription;
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  #reported = 0;
  #skipped = 0;
  /** The connection that is being dropped, and the limit that it exceeded. */
  #dropped: { readonly connection: Connection; readonly limit: EndedBy } | undefined;

  constructor(parts: TracesParts) {
    this.#parts = parts;
    this.#leases = parts.bus.subscribe(parts.subjects.traceLeases, (message) => this.#onLease(message));
  }

  get open(): number {
    return this.#writers.size;
  }

  /** Events that were reported, counted once for each trace. */
  get reported(): number {
    return this.#reported;
  }

  /** Events that were left out because a trace had no room for them or NATS did not take them, once for each trace. */
  get skipped(): number {
    return this.#skipped;
  }

  opened(connection: Connection): void {
    this.#report({
      kind: "connection",
      connection,
      topics: [],
      topicCount: 0,
      event: (address) => ["connection", { ...address, state: "opened", ...describe(connection) }],
    });
  }

  /** Must be called before a connection is closed without a close frame because it exceeded a limit. */
  dropping(connection: Connection, limit: EndedBy): void {
    this.#dropped = { connection, limit };
  }

  /** @param message the reason of the close frame, or what uWebSockets.js gives as reason. */
  closed(connection: Connection, code: number, message: string | ArrayBuffer): void {
    const { topics } = connection.getUserData();
    const reason = this.#reasonOf(connection, message);
    this.#report({
      kind: "connection",
      connection,
      topics: membersOf(topics),
      topicCount: countMembers(topics),
      event: (address) => [
        "connection",
        { ...address, state: "closed", ...describe(connection), code, ...(reason !== "" && { reason }) },
      ],
    });
  }

  #reasonOf(connection: Connection, message: string | ArrayBuffer): string {
    const dropped = this.#dropped?.connection === connection ? this.#dropped.limit : undefined;
    this.#dropped = undefined;
    if (dropped !== undefined) return dropped;
    if (connection.getUserData().isOverUnsentLimit) return "unsent-bytes" satisfies EndedBy;
    return typeof message === "string" ? message : Buffer.from(message).toString();
  }

  subscriptionChanged(connection: Connection, state: "subscribed" | "unsubscribed", topic: string): void {
    this.#report({
      kind: "subscription",
      connection,
      topics: [topic],
      topicCount: 1,
      event: (address) => ["subscription", { ...address, state, ...userOf(connection), topic }],
    });
  }

  resumed(connection: Connection, topics: readonly string[], result: Resumed): void {
    this.#report({
      kind: "recovery",
      connection,
      topics,
      topicCount: topics.length,
      event: (address) => ["recovery", { ...address, ...shownTopics(topics), ...result }],
    });
  }

  /** Reports what is left. */
  stop(): void {
    this.#leases.unsubscribe();
    for (const writer of this.#writers.values()) writer.flush();
    this.#writers.clear();
    this.#update();
  }

  #report({ kind, connection, topics, topicCount, event }: Happening): void {
    const { connectionId, grant } = connection.getUserData();
    const address = formatConnectionAddress({ workerId: this.#parts.workerId, connectionId });
    let text: string | undefined;
    for (const writer of this.#writers.values()) {
      const subject = { connection: address, user: grant.user, topics };
      if (!writer.admits(kind, subject, topicCount)) continue;
      text ??= JSON.stringify(event({ at: new Date().toISOString(), connection: address }));
      writer.add(text);
    }
  }

  #onLease(message: BusMessage): void {
    const { data: lease, error } = traceLease.safeParse(parseJson(message));
    if (lease === undefined) {
      this.#parts.log.warn({ err: error }, "invalid lease of a trace");
      return;
    }
    const { bus, subjects, workerId } = this.#parts;
    const subject = subjects.trace(lease.trace);
    const writer = this.#writers.get(lease.trace);
    const now = performance.now();
    if (lease.leaseMs === 0) this.#writers.delete(lease.trace);
    else if (writer !== undefined) writer.renew(lease, now);
    else if (this.#writers.size < MAX_TRACES) {
      const onSent = (events: number) => {
        this.#reported += events;
      };
      const onSkip = (events: number) => {
        this.#skipped += events;
      };
      this.#writers.set(lease.trace, new TraceWriter({ bus, workerId, subject, onSent, onSkip }, lease, now));
    } else {
      bus.send(subject, Buffer.from(JSON.stringify({ worker: workerId, number: 1, skipped: null, events: [] })));
      return;
    }
    this.#update();
    message.respond(JSON.stringify({ worker: workerId }));
  }

  /** Starts or stops the timer. */
  #update(): void {
    const isActive = this.#writers.size > 0;
    this.active = isActive ? this : undefined;
    if (isActive) this.#timer ??= setInterval(() => this.#tick(), REPORT_EVERY_MS);
    else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #tick(): void {
    this.#ticks++;
    const now = performance.now();
    for (const [trace, writer] of this.#writers) {
      writer.flush();
      if (this.#ticks % REPORTS_PER_SECOND === 0) writer.refill();
      if (writer.hasExpired(now)) this.#writers.delete(trace);
    }
    this.#update();
  }
}

function describe(connection: Connection) {
  const { protocol } = connection.getUserData();
  const remoteAddress = knownAddressOf(connection);
  return { protocol: protocol.name, ...userOf(connection), ...(remoteAddress !== undefined && { remoteAddress }) };
}

function userOf(connection: Connection): { readonly user?: string } {
  const { user } = connection.getUserData().grant;
  return user === undefined ? {} : { user };
}

/** Returns undefined for a closed WebSocket without a proxy, of which uWebSockets.js no longer knows the address. */
function knownAddressOf(connection: Connection): string | undefined {
  try {
    return remoteAddressOf(connection);
  } catch {
    return undefined;
  }
}

function shownTopics(topics: readonly string[]): Pick<TracedRecovery, "topics" | "omittedTopics"> {
  if (topics.length === 0) return {};
  const omittedTopics = topics.length - MAX_TOPICS;
  return { topics: topics.slice(0, MAX_TOPICS), ...(omittedTopics > 0 && { omittedTopics }) };
}
