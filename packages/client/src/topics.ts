import type { FanwireError } from "./error.ts";
import type { Publication } from "./messages.ts";
import { isAfter } from "./position.ts";

export type Subscribed = {
  /** `true`: nothing published durably since `since` is missing. `false`: that cannot be proven. `null`: no `since`. */
  readonly recovered: boolean | null;
};

/** One topic or pattern that is to be followed, whether there is a connection or not. */
export class Topic {
  readonly name: string;
  /** Settles when it is followed for the first time, or is not wanted any more. */
  readonly subscribed: Promise<Subscribed>;
  /**
   * Its own position, while it still catches up from one: it must then resume from there and not from the position of the
   * connection, which the other topics have moved on.
   */
  since: string | undefined;
  #until: string | undefined;
  #resolve: (subscribed: Subscribed) => void = () => {};
  #reject: (error: FanwireError) => void = () => {};

  constructor(name: string, since: string | undefined) {
    this.name = name;
    this.since = since;
    this.subscribed = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Who wants to know holds a promise of its own.
    this.subscribed.catch(() => {});
  }

  /** The worker follows it. `position`: where the history stood then, for one that catches up. */
  followed({ recovered, position }: Subscribed & { readonly position?: string | undefined }): void {
    if (recovered === true) this.#until = position;
    else this.since = undefined;
    this.#resolve({ recovered });
  }

  drop(error: FanwireError): void {
    this.#reject(error);
  }

  /**
   * Whether it moves on with the connection: then the connection's position is its own. It does so again when it is past
   * what it had missed and past the others: what was live meanwhile was held back from it alone.
   */
  receive(position: string, connectionPosition: string | undefined): boolean {
    if (this.since === undefined) return true;
    const hasCaughtUp =
      this.#until !== undefined &&
      isAfter(position, this.#until) &&
      (connectionPosition === undefined || isAfter(position, connectionPosition));
    this.since = hasCaughtUp ? undefined : position;
    return hasCaughtUp;
  }
}

/** What is to be followed, by topic or pattern. */
export class Topics {
  readonly #topics = new Map<string, Topic>();

  constructor(names: readonly string[]) {
    for (const name of names) this.add(name);
  }

  /** The topic, and whether it is new. */
  add(name: string, since?: string): [topic: Topic, isNew: boolean] {
    const known = this.#topics.get(name);
    if (known) return [known, false];
    const topic = new Topic(name, since);
    this.#topics.set(name, topic);
    return [topic, true];
  }

  has(topic: Topic): boolean {
    return this.#topics.get(topic.name) === topic;
  }

  get(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  all(): Topic[] {
    return [...this.#topics.values()];
  }

  remove(topic: Topic, error: FanwireError): void {
    if (this.has(topic)) this.#topics.delete(topic.name);
    topic.drop(error);
  }

  /** Whether a publication's position becomes the connection's. */
  receive({ topic, subscription, position }: Publication, connectionPosition: string | undefined): boolean {
    if (position === undefined) return false;
    const isAhead = connectionPosition === undefined || isAfter(position, connectionPosition);
    const followed = this.#topics.get(subscription ?? topic ?? "");
    return (followed?.receive(position, connectionPosition) ?? true) && isAhead;
  }
}
