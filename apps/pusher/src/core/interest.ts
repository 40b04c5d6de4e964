/** What is listened to, and counts its followers by door. */
interface Followed<Door extends string> {
  readonly isFollowed: boolean;
  addFollower(door: Door): void;
  removeFollower(door: Door): void;
}

/**
 * What this worker listens to on NATS: one subscription for each distinct key that any connection follows, made with the
 * first follower and dropped with the last. `Subscription` is whatever `open` gives, with no followers yet.
 */
export class Interest<Door extends string, Subscription extends Followed<Door>> {
  readonly #open: (key: string) => Subscription;
  readonly #close: (subscription: Subscription) => void;
  readonly #followed = new Map<string, Subscription>();

  constructor(open: (key: string) => Subscription, close: (subscription: Subscription) => void) {
    this.#open = open;
    this.#close = close;
  }

  /** Distinct keys that are followed now. */
  get size(): number {
    return this.#followed.size;
  }

  get(key: string): Subscription | undefined {
    return this.#followed.get(key);
  }

  subscriptions(): Iterable<Subscription> {
    return this.#followed.values();
  }

  /** Listens to `key` for good, with no follower yet. */
  keep(key: string): Subscription {
    const subscription = this.#open(key);
    this.#followed.set(key, subscription);
    return subscription;
  }

  /** One more follower of `key`, by `door`. The caller counts each connection once. */
  follow(key: string, door: Door): Subscription {
    const subscription = this.#followed.get(key) ?? this.keep(key);
    subscription.addFollower(door);
    return subscription;
  }

  /** One follower less. Gives what it followed; undefined when nobody did. */
  unfollow(key: string, door: Door): Subscription | undefined {
    const subscription = this.#followed.get(key);
    if (subscription === undefined) return undefined;
    subscription.removeFollower(door);
    if (subscription.isFollowed) return subscription;
    this.#followed.delete(key);
    this.#close(subscription);
    return subscription;
  }
}
