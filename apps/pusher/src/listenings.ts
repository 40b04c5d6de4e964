import type { DurableTarget } from "@fanwire/protocol";
import type { Door } from "./connection.ts";
import { Interest } from "./core/interest.ts";
import { PatternShapes } from "./core/pattern-shapes.ts";
import { Listening, type ListeningParts } from "./listening.ts";

const NONE: Listening[] = [];

/** All that this worker listens to on NATS: everyone, and each topic, pattern and user of its connections once. */
export class Listenings {
  /** Whoever is there: it is always heard. */
  readonly everyone: Listening;
  readonly #parts: ListeningParts;
  readonly #interest: Interest<Door, Listening>;
  readonly #shapes = new PatternShapes();
  #made = 0;

  constructor(parts: ListeningParts) {
    this.#parts = parts;
    this.#interest = new Interest(
      (key) => this.#listen(key),
      (listening) => this.#unlisten(listening),
    );
    this.everyone = this.#interest.keep(parts.subjects.live({ kind: "everyone" }));
  }

  get size(): number {
    return this.#interest.size;
  }

  all(): Iterable<Listening> {
    return this.#interest.subscriptions();
  }

  has(listening: Listening): boolean {
    return this.#interest.get(listening.key) === listening;
  }

  ofTopic(pattern: string): Listening | undefined {
    return this.#interest.get(this.#topicKey(pattern));
  }

  ofUser(user: string): Listening | undefined {
    return this.#interest.get(this.#userKey(user));
  }

  /** All that a publication to `target` comes by. */
  to(target: DurableTarget): Listening[] {
    const keys = [this.#parts.subjects.live(target)];
    if (target.kind === "topic") {
      for (const pattern of this.#shapes.matching(target.topic)) keys.push(this.#topicKey(pattern));
    }
    return keys.flatMap((key) => this.#interest.get(key) ?? []);
  }

  /** All that a publication stored under a history subject comes by. */
  toStored(historySubject: string): Listening[] {
    const { subjects } = this.#parts;
    const exact = this.#interest.get(subjects.liveOf(historySubject) ?? "");
    if (this.#shapes.isEmpty) return exact === undefined ? NONE : [exact];
    const target = subjects.parseHistory(historySubject);
    return target === undefined ? NONE : this.to(target);
  }

  /** One more follower. The caller counts each connection once. */
  followTopic(pattern: string, door: Door): Listening {
    return this.#interest.follow(this.#topicKey(pattern), door);
  }

  followUser(user: string, door: Door): Listening {
    return this.#interest.follow(this.#userKey(user), door);
  }

  /** One follower less. Gives what it followed. */
  unfollowTopic(pattern: string, door: Door): Listening | undefined {
    return this.#interest.unfollow(this.#topicKey(pattern), door);
  }

  unfollowUser(user: string, door: Door): Listening | undefined {
    return this.#interest.unfollow(this.#userKey(user), door);
  }

  #listen(key: string): Listening {
    this.#made++;
    const listening = new Listening(key, this.#made, this.#parts);
    if (!listening.isExact && listening.pattern !== undefined) this.#shapes.add(listening.pattern);
    return listening;
  }

  #unlisten(listening: Listening): void {
    listening.subscription.unsubscribe();
    if (!listening.isExact && listening.pattern !== undefined) this.#shapes.remove(listening.pattern);
  }

  #userKey(user: string): string {
    return this.#parts.subjects.live({ kind: "user", user });
  }

  #topicKey(pattern: string): string {
    return this.#parts.subjects.liveTopics(pattern);
  }
}
