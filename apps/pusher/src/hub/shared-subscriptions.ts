import type { DurableTarget } from "@fanwire/protocol";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import { PatternIndex } from "./pattern-index.ts";
import { SharedSubscription, type SharedSubscriptionParts } from "./shared-subscription.ts";

const NONE: SharedSubscription[] = [];

/**
 * The NATS subscriptions of this worker: one for everyone, and one for each topic, pattern and user that any connection
 * is subscribed to. Each begins with its first subscriber and ends with its last.
 */
export class SharedSubscriptions {
  /** Does not end, even without connections. */
  readonly everyone: SharedSubscription;
  /** Lists that are kept up to date. */
  indexes: readonly { begun(subscription: SharedSubscription): void; ended(): void }[] = [];
  /** Number of distinct topics and patterns. */
  topicCount = 0;
  userCount = 0;
  readonly #parts: SharedSubscriptionParts;
  readonly #bySubject = new Map<string, SharedSubscription>();
  readonly #patterns = new PatternIndex();
  #lastGroupId = 0;

  constructor(parts: SharedSubscriptionParts) {
    this.#parts = parts;
    this.everyone = this.#open(parts.subjects.live({ kind: "everyone" }));
  }

  get size(): number {
    return this.#bySubject.size;
  }

  all(): Iterable<SharedSubscription> {
    return this.#bySubject.values();
  }

  has(subscription: SharedSubscription): boolean {
    return this.#bySubject.get(subscription.subject) === subscription;
  }

  ofTopic(pattern: string): SharedSubscription | undefined {
    return this.#bySubject.get(this.#topicSubject(pattern));
  }

  ofUser(user: string): SharedSubscription | undefined {
    return this.#bySubject.get(this.#userSubject(user));
  }

  /** Returns all subscriptions that receive publications to `target`. */
  to(target: DurableTarget): SharedSubscription[] {
    const liveSubjects = [this.#parts.subjects.live(target)];
    if (target.kind === "topic") {
      for (const pattern of this.#patterns.matching(target.topic)) liveSubjects.push(this.#topicSubject(pattern));
    }
    return liveSubjects.flatMap((subject) => this.#bySubject.get(subject) ?? []);
  }

  /** Returns all subscriptions that receive publications stored under a history subject. */
  toStored(historySubject: string): SharedSubscription[] {
    const { subjects } = this.#parts;
    const exact = this.#bySubject.get(subjects.liveOf(historySubject) ?? "");
    if (this.#patterns.isEmpty) return exact === undefined ? NONE : [exact];
    const target = subjects.parseHistory(historySubject);
    return target === undefined ? NONE : this.to(target);
  }

  /** Adds a subscriber. Must be called once for each connection. */
  subscribeTopic(pattern: string, protocol: ClientProtocol): SharedSubscription {
    return this.#subscribe(this.#topicSubject(pattern), protocol);
  }

  subscribeUser(user: string, protocol: ClientProtocol): SharedSubscription {
    return this.#subscribe(this.#userSubject(user), protocol);
  }

  /** Removes a subscriber. Returns the subscription that it had. */
  unsubscribeTopic(pattern: string, protocol: ClientProtocol): SharedSubscription | undefined {
    return this.#unsubscribe(this.#topicSubject(pattern), protocol);
  }

  unsubscribeUser(user: string, protocol: ClientProtocol): SharedSubscription | undefined {
    return this.#unsubscribe(this.#userSubject(user), protocol);
  }

  #subscribe(subject: string, protocol: ClientProtocol): SharedSubscription {
    const subscription = this.#bySubject.get(subject) ?? this.#open(subject);
    subscription.addSubscriber(protocol);
    this.#reportCount(subscription);
    return subscription;
  }

  #unsubscribe(subject: string, protocol: ClientProtocol): SharedSubscription | undefined {
    const subscription = this.#bySubject.get(subject);
    if (subscription === undefined) return undefined;
    subscription.removeSubscriber(protocol);
    if (!subscription.hasSubscribers) this.#close(subscription);
    this.#reportCount(subscription);
    return subscription;
  }

  #reportCount({ pattern, isExact, subscribers }: SharedSubscription): void {
    const { events } = this.#parts;
    if (events === undefined || pattern === undefined || !isExact) return;
    if (subscribers === 0) events.topicVacated(pattern);
    else events.topicOccupied(pattern);
    if (events.wantsCounts) events.topicCounted(pattern, subscribers);
  }

  #open(subject: string): SharedSubscription {
    this.#lastGroupId++;
    const subscription = new SharedSubscription(subject, this.#lastGroupId, this.#parts);
    this.#bySubject.set(subject, subscription);
    this.#countOf(subscription, 1);
    for (const index of this.indexes) index.begun(subscription);
    if (!subscription.isExact && subscription.pattern !== undefined) this.#patterns.add(subscription.pattern);
    return subscription;
  }

  #close(subscription: SharedSubscription): void {
    this.#bySubject.delete(subscription.subject);
    this.#countOf(subscription, -1);
    for (const index of this.indexes) index.ended();
    subscription.subscription.unsubscribe();
    if (!subscription.isExact && subscription.pattern !== undefined) this.#patterns.remove(subscription.pattern);
  }

  #countOf({ kind }: SharedSubscription, by: 1 | -1): void {
    if (kind === "topic") this.topicCount += by;
    else if (kind === "user") this.userCount += by;
  }

  #userSubject(user: string): string {
    return this.#parts.subjects.live({ kind: "user", user });
  }

  #topicSubject(pattern: string): string {
    return this.#parts.subjects.liveTopics(pattern);
  }
}
