import type { DurableTarget } from "@fanwire/protocol";
import type { ProtocolName } from "../connections/connection.ts";
import { Interest } from "./interest.ts";
import { PatternShapes } from "./pattern-index.ts";
import { SharedSubscription, type SharedSubscriptionParts } from "./shared-subscription.ts";

const NONE: SharedSubscription[] = [];

/** All that this worker listens to on NATS: everyone, and each topic, pattern and user of its connections once. */
export class SharedSubscriptions {
  /** Whoever is there: it is always heard. */
  readonly everyone: SharedSubscription;
  readonly #parts: SharedSubscriptionParts;
  readonly #interest: Interest<ProtocolName, SharedSubscription>;
  readonly #shapes = new PatternShapes();
  #made = 0;

  constructor(parts: SharedSubscriptionParts) {
    this.#parts = parts;
    this.#interest = new Interest(
      (key) => this.#listen(key),
      (subscription) => this.#unlisten(subscription),
    );
    this.everyone = this.#interest.keep(parts.subjects.live({ kind: "everyone" }));
  }

  get size(): number {
    return this.#interest.size;
  }

  all(): Iterable<SharedSubscription> {
    return this.#interest.subscriptions();
  }

  has(subscription: SharedSubscription): boolean {
    return this.#interest.get(subscription.key) === subscription;
  }

  ofTopic(pattern: string): SharedSubscription | undefined {
    return this.#interest.get(this.#topicKey(pattern));
  }

  ofUser(user: string): SharedSubscription | undefined {
    return this.#interest.get(this.#userKey(user));
  }

  /** All that a publication to `target` comes by. */
  to(target: DurableTarget): SharedSubscription[] {
    const keys = [this.#parts.subjects.live(target)];
    if (target.kind === "topic") {
      for (const pattern of this.#shapes.matching(target.topic)) keys.push(this.#topicKey(pattern));
    }
    return keys.flatMap((key) => this.#interest.get(key) ?? []);
  }

  /** All that a publication stored under a history subject comes by. */
  toStored(historySubject: string): SharedSubscription[] {
    const { subjects } = this.#parts;
    const exact = this.#interest.get(subjects.liveOf(historySubject) ?? "");
    if (this.#shapes.isEmpty) return exact === undefined ? NONE : [exact];
    const target = subjects.parseHistory(historySubject);
    return target === undefined ? NONE : this.to(target);
  }

  /** One more follower. The caller counts each connection once. */
  subscribeTopic(pattern: string, protocol: ProtocolName): SharedSubscription {
    return this.#interest.subscribe(this.#topicKey(pattern), protocol);
  }

  subscribeUser(user: string, protocol: ProtocolName): SharedSubscription {
    return this.#interest.subscribe(this.#userKey(user), protocol);
  }

  /** One follower less. Gives what it followed. */
  unsubscribeTopic(pattern: string, protocol: ProtocolName): SharedSubscription | undefined {
    return this.#interest.unsubscribe(this.#topicKey(pattern), protocol);
  }

  unsubscribeUser(user: string, protocol: ProtocolName): SharedSubscription | undefined {
    return this.#interest.unsubscribe(this.#userKey(user), protocol);
  }

  #listen(key: string): SharedSubscription {
    this.#made++;
    const subscription = new SharedSubscription(key, this.#made, this.#parts);
    if (!subscription.isExact && subscription.pattern !== undefined) this.#shapes.add(subscription.pattern);
    return subscription;
  }

  #unlisten(subscription: SharedSubscription): void {
    subscription.subscription.unsubscribe();
    if (!subscription.isExact && subscription.pattern !== undefined) this.#shapes.remove(subscription.pattern);
  }

  #userKey(user: string): string {
    return this.#parts.subjects.live({ kind: "user", user });
  }

  #topicKey(pattern: string): string {
    return this.#parts.subjects.liveTopics(pattern);
  }
}
