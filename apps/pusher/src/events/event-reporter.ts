import type { Bus } from "@fanwire/bus";
import {
  type ClusterEvent,
  type EventName,
  formatConnectionAddress,
  type ReportedFact,
  type Subjects,
} from "@fanwire/protocol";
import type { Connection } from "../connections/connection.ts";
import { KeptEvents } from "./kept-events.ts";
import { ReportQueue } from "./report-queue.ts";
import { sizeLimits } from "./size-limits.ts";
import { SnapshotServer } from "./snapshot-server.ts";

const REPORT_EVERY_MS = 50;
/**
 * Shorter for events that only this worker knows, because they are lost if it ends before. Facts are part of a
 * snapshot.
 */
const EVENT_REPORT_MS = 5;
/** Webhook senders drop the subscribers and members of a worker that is silent for five of these intervals. */
const HEARTBEAT_MS = 1_000;

type ReporterParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  /** Events that are on; not empty. */
  readonly wanted: ReadonlySet<EventName>;
};

/** Members of an event that its source knows. */
export type OwnEvent = Omit<ClusterEvent, "id" | "time">;

type LocalMemberChange = {
  readonly topic: string;
  readonly member: { readonly user: string };
  readonly isPresent: boolean;
};

/**
 * Reports to the webhook senders what happens on this worker: whether topics have subscribers here, who is a member
 * here, and events that only this worker knows. Webhook senders unite the reports of all workers.
 */
export class EventReporter {
  readonly #parts: ReporterParts;
  readonly #queue: ReportQueue;
  readonly #kept = new KeptEvents();
  readonly #snapshots: SnapshotServer;
  readonly #occupied = new Set<string>();
  readonly #members = new Map<string, Set<string>>();
  readonly #counts = new Map<string, number>();
  /** Topics whose count has changed since the last report. */
  readonly #counted = new Set<string>();
  #facts: string[] = [];
  #bytes = 0;
  #eventNumber = 0;
  #droppedEvents = 0;
  #reportTimer: NodeJS.Timeout | undefined;
  #eventTimer: NodeJS.Timeout | undefined;
  readonly #heartbeat: NodeJS.Timeout;

  constructor(parts: ReporterParts) {
    this.#parts = parts;
    const { bus, subjects, workerId } = parts;
    this.#queue = new ReportQueue(bus, subjects.reports(workerId), workerId);
    this.#snapshots = new SnapshotServer({
      bus,
      subject: subjects.snapshots(workerId),
      workerId,
      numberNow: () => {
        this.#report();
        return this.#queue.number;
      },
      facts: () => this.#allFacts(),
    });
    this.#heartbeat = setInterval(() => this.#queue.sendHeartbeat(), HEARTBEAT_MS);
  }

  /** Whether changes of topics are reported. */
  get wantsTopics(): boolean {
    return this.#wants("topic_occupied") || this.#wants("topic_vacated");
  }

  get wantsCounts(): boolean {
    return this.#wants("subscription_count");
  }

  get wantsMembers(): boolean {
    return this.#wants("member_joined") || this.#wants("member_left");
  }

  /** Events that were too large to be reported. */
  get droppedEvents(): number {
    return this.#droppedEvents;
  }

  get sentReports(): number {
    return this.#queue.sentReports;
  }

  get lostReports(): number {
    return this.#queue.lostReports;
  }

  /** Must be called when the first local connection subscribes to a topic. */
  topicOccupied(topic: string): void {
    if (!this.wantsTopics || this.#occupied.has(topic)) return;
    this.#occupied.add(topic);
    this.#add(["occupied", topic]);
  }

  /** Must be called when the last local connection unsubscribes from a topic. */
  topicVacated(topic: string): void {
    if (!this.#occupied.delete(topic)) return;
    this.#add(["vacated", topic]);
  }

  /** Must be called when the number of local subscriptions to a topic changes. */
  topicCounted(topic: string, subscriptions: number): void {
    if (!this.wantsCounts) return;
    if (subscriptions === 0) this.#counts.delete(topic);
    else this.#counts.set(topic, subscriptions);
    this.#counted.add(topic);
    this.#scheduleReport();
  }

  /** Must be called when the first local connection of a user appears on a topic, or the last one disappears. */
  memberChanged({ topic, member, isPresent }: LocalMemberChange): void {
    if (isPresent) this.memberJoined(topic, member.user);
    else this.memberLeft(topic, member.user);
  }

  /** Must be called when the first local connection of a user becomes present on a topic. */
  memberJoined(topic: string, user: string): void {
    if (!this.wantsMembers) return;
    const users = this.#members.get(topic) ?? new Set();
    if (users.has(user)) return;
    this.#members.set(topic, users.add(user));
    this.#add(["joined", topic, user]);
  }

  /** Must be called when the last local connection of a user that was present on a topic leaves it. */
  memberLeft(topic: string, user: string): void {
    const users = this.#members.get(topic);
    if (users === undefined || !users.delete(user)) return;
    if (users.size === 0) this.#members.delete(topic);
    this.#add(["left", topic, user]);
  }

  /** Must be called when a connection is accepted or has closed. */
  connectionChanged(name: "connection_opened" | "connection_closed", connection: Connection, code?: number): void {
    if (!this.#wants(name)) return;
    const { connectionId, protocol, grant } = connection.getUserData();
    this.happened({
      name,
      connection: formatConnectionAddress({ workerId: this.#parts.workerId, connectionId }),
      protocol: protocol.name,
      ...(grant.user !== undefined && { user: grant.user }),
      ...(code !== undefined && { code }),
    });
  }

  /** Reports an event that no other worker knows, if this event is on. */
  happened(event: OwnEvent): void {
    if (!this.#wants(event.name)) return;
    const number = this.#eventNumber + 1;
    const id = `${this.#parts.workerId}-${number}`;
    const fact = JSON.stringify(["event", number, { id, time: new Date().toISOString(), ...event }]);
    if (fact.length > sizeLimits(this.#parts.bus.maxPayloadBytes()).fact) {
      this.#droppedEvents++;
      return;
    }
    this.#eventNumber = number;
    this.#kept.add(fact);
    this.#append(fact);
    this.#eventTimer ??= setTimeout(() => this.#report(), EVENT_REPORT_MS);
  }

  /** Sends what is left and announces the end of this worker. */
  async stop(): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#report();
    this.#snapshots.stop();
    await this.#queue.end();
  }

  #wants(name: EventName): boolean {
    return this.#parts.wanted.has(name);
  }

  #add(fact: ReportedFact): void {
    this.#append(JSON.stringify(fact));
    this.#scheduleReport();
  }

  #scheduleReport(): void {
    this.#reportTimer ??= setTimeout(() => this.#report(), REPORT_EVERY_MS);
  }

  /** Sends everything that was not reported. */
  #report(): void {
    clearTimeout(this.#reportTimer);
    clearTimeout(this.#eventTimer);
    this.#reportTimer = undefined;
    this.#eventTimer = undefined;
    for (const topic of this.#counted) this.#append(JSON.stringify(["count", topic, this.#counts.get(topic) ?? 0]));
    this.#counted.clear();
    this.#send();
  }

  /** Adds a fact to the next report, and sends the report when it is large. */
  #append(fact: string): void {
    this.#facts.push(fact);
    this.#bytes += fact.length;
    if (this.#bytes > sizeLimits(this.#parts.bus.maxPayloadBytes()).message) this.#send();
  }

  #send(): void {
    if (this.#facts.length === 0) return;
    this.#queue.add(this.#facts);
    this.#facts = [];
    this.#bytes = 0;
  }

  /** Returns all facts now. The iteration may take many ticks; changes meanwhile are reported as usual. */
  *#allFacts(): Generator<string> {
    for (const topic of this.#occupied) yield JSON.stringify(["occupied", topic]);
    for (const [topic, count] of this.#counts) yield JSON.stringify(["count", topic, count]);
    for (const [topic, users] of this.#members) {
      for (const user of users) yield JSON.stringify(["joined", topic, user]);
    }
    yield* this.#kept.facts();
  }
}
