/** What is listened to, and counts its subscribers by protocol. */
interface Followed<ProtocolName extends string> {
  readonly hasSubscribers: boolean;
  addSubscriber(protocol: ProtocolName): void;
  removeSubscriber(protocol: ProtocolName): void;
}

/**
 * What this worker listens to on NATS: one subscription for each distinct key that any connection follows, made with the
 * first follower and dropped with the last. `Subscription` is whatever `open` gives, with no subscribers yet.
 */
export class Interest<ProtocolName extends string, Subscription extends Followed<ProtocolName>> {
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

  /** One more follower of `key`, by `protocol`. The caller counts each connection once. */
  subscribe(key: string, protocol: ProtocolName): Subscription {
    const subscription = this.#followed.get(key) ?? this.keep(key);
    subscription.addSubscriber(protocol);
    return subscription;
  }

  /** One follower less. Gives what it followed; undefined when nobody did. */
  unsubscribe(key: string, protocol: ProtocolName): Subscription | undefined {
    const subscription = this.#followed.get(key);
    if (subscription === undefined) return undefined;
    subscription.removeSubscriber(protocol);
    if (subscription.hasSubscribers) return subscription;
    this.#followed.delete(key);
    this.#close(subscription);
    return subscription;
  }
}
