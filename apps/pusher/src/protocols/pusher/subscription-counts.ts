import { channelKind, channelOf, type PusherApp, type PusherApps } from "@fanwire/pusher-protocol";
import { SlicedWork } from "../../pacing/sliced-work.ts";
import { subscriptionCount } from "../../wire/pusher-frames.ts";
import type { ClusterCounts } from "./cluster-counts.ts";
import type { PusherSession } from "./session.ts";

const PREFIX = "topic:";
/** From this number of subscribers on, changes are sent at most once in {@link RARE_MS}. */
const MANY = 100;
const RARE_MS = 5_000;
/** Time that a new subscriber waits for the count, which its own subscription is about to change. */
const NEW_MS = 200;

type Counted = {
  readonly channel: string;
  readonly sessions: Set<PusherSession>;
  /** Those that were sent no count yet. */
  uninformed: Set<PusherSession>;
  sent: number | undefined;
  sentAt: number;
  timer: NodeJS.Timeout | undefined;
};

/** Sends the subscribers of a channel their number in the whole cluster, for apps that have switched it on. */
export class SubscriptionCounts {
  readonly #apps: readonly PusherApp[];
  readonly #counts: ClusterCounts;
  readonly #counted = new Map<string, Counted>();
  /** Topics whose count is sent next. Those of thousands may change at the same time. */
  readonly #due = new Map<string, Counted>();
  readonly #work = new SlicedWork();

  constructor(apps: PusherApps, counts: ClusterCounts) {
    this.#apps = apps.all.filter((app) => app.subscriptionCount);
    this.#counts = counts;
  }

  /** Must be called when the number of this worker's subscribers of a topic has changed. */
  onSubscribers(topic: string, subscribers: number): void {
    if (this.#apps.some((app) => hasCounts(channelOf(app, topic)))) this.#counts.set(PREFIX + topic, subscribers);
  }

  /** Must be called when a client is subscribed to a channel. */
  add(session: PusherSession, channel: string, topic: string): void {
    if (!session.app.subscriptionCount || !hasCounts(channel)) return;
    const counted: Counted = this.#counted.get(topic) ?? {
      channel,
      sessions: new Set(),
      uninformed: new Set(),
      sent: undefined,
      sentAt: Number.NEGATIVE_INFINITY,
      timer: undefined,
    };
    counted.sessions.add(session);
    counted.uninformed.add(session);
    this.#counted.set(topic, counted);
    this.#counts.watch(PREFIX + topic);
    // The total may be the same as before, because another subscriber has left.
    this.#schedule(topic, NEW_MS);
  }

  remove(session: PusherSession, topic: string): void {
    const counted = this.#counted.get(topic);
    counted?.uninformed.delete(session);
    if (!counted?.sessions.delete(session) || counted.sessions.size > 0) return;
    clearTimeout(counted.timer);
    this.#counted.delete(topic);
    this.#due.delete(topic);
    this.#counts.unwatch(PREFIX + topic);
  }

  /** Must be called with keys of {@link ClusterCounts} whose totals are known, and may have changed. */
  onChanged(keys: ReadonlySet<string>): void {
    for (const key of keys) if (key.startsWith(PREFIX)) this.#schedule(key.slice(PREFIX.length));
  }

  stop(): void {
    for (const { timer } of this.#counted.values()) clearTimeout(timer);
    this.#counted.clear();
    this.#due.clear();
  }

  #schedule(topic: string, delayMs = 0): void {
    const counted = this.#counted.get(topic);
    if (counted === undefined || counted.timer !== undefined || this.#due.has(topic)) return;
    const isRare = this.#counts.total(PREFIX + topic) > MANY;
    const waitMs = Math.max(delayMs, isRare ? counted.sentAt + RARE_MS - performance.now() : 0);
    if (waitMs > 0) counted.timer = setTimeout(() => this.#addDue(topic, counted), waitMs);
    else this.#addDue(topic, counted);
  }

  #addDue(topic: string, counted: Counted): void {
    counted.timer = undefined;
    if (this.#due.size === 0) this.#work.add(this.#sendDue());
    this.#due.set(topic, counted);
  }

  *#sendDue(): Iterable<void> {
    for (const [topic, counted] of this.#due) {
      this.#due.delete(topic);
      yield* this.#send(topic, counted);
      yield;
    }
  }

  *#send(topic: string, counted: Counted): Iterable<void> {
    // It is scheduled again when the total is known.
    if (!this.#counts.isKnown(PREFIX + topic)) return;
    const count = this.#counts.total(PREFIX + topic);
    const receivers = count === counted.sent ? counted.uninformed : counted.sessions;
    if (receivers.size === 0) return;
    counted.uninformed = new Set();
    counted.sent = count;
    counted.sentAt = performance.now();
    const frame = subscriptionCount(counted.channel, count);
    for (const session of receivers) {
      // It may have left meanwhile.
      if (counted.sessions.has(session)) session.send(frame);
      yield;
    }
  }
}

/** Members of presence channels are counted as such. */
function hasCounts(channel: string | undefined): boolean {
  return channel !== undefined && !channelKind(channel).isPresence;
}
