/**
 * What this worker listens to on NATS: one subscription for each distinct key that any connection follows, made with the
 * first follower and dropped with the last. `Subscription` is whatever `open` gives.
 */
export class Interest<Subscription> {
  readonly #open: (key: string) => Subscription;
  readonly #close: (subscription: Subscription) => void;
  readonly #followed = new Map<string, { followers: number; readonly subscription: Subscription }>();

  constructor(open: (key: string) => Subscription, close: (subscription: Subscription) => void) {
    this.#open = open;
    this.#close = close;
  }

  /** Distinct keys that are followed now. */
  get size(): number {
    return this.#followed.size;
  }

  get(key: string): Subscription | undefined {
    return this.#followed.get(key)?.subscription;
  }

  *subscriptions(): Generator<Subscription> {
    for (const { subscription } of this.#followed.values()) yield subscription;
  }

  /** One more follower of `key`. The caller counts each connection once. */
  follow(key: string): Subscription {
    let entry = this.#followed.get(key);
    if (entry === undefined) {
      entry = { followers: 0, subscription: this.#open(key) };
      this.#followed.set(key, entry);
    }
    entry.followers++;
    return entry.subscription;
  }

  /** One follower less. */
  unfollow(key: string): void {
    const entry = this.#followed.get(key);
    if (entry === undefined) return;
    entry.followers--;
    if (entry.followers > 0) return;
    this.#followed.delete(key);
    this.#close(entry.subscription);
  }
}
