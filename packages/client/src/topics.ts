import { checkTypes } from "./check-types.ts";
import type { FanwireError } from "./error.ts";
import type { ReceivedPublication } from "./messages.ts";
import { isAfter, isLater } from "./position.ts";
import type { MemberList } from "./presence.ts";
import type { Progress } from "./progress.ts";
import { type Settle, settleable } from "./settleable.ts";

/** Result of a subscription. */
export type Subscribed = {
  /** `true`: nothing published durably since `since` is missing. `false`: that cannot be proved. `null`: no `since`. */
  readonly recovered: boolean | null;
};

/** One topic or pattern that the client subscribes to on each connection. */
export class Topic {
  readonly name: string;
  /**
   * Position of this topic while it catches up. A reconnect must resume the topic from there, and not from the position
   * of the connection, which other topics advance.
   */
  since: string | undefined;
  /** Whether the worker of the current connection has subscribed to it. */
  isSubscribed = false;
  /** Whether a restart is pending, after which publications are delivered again. */
  startsOver = false;
  /** Whether the application subscribed to it. Otherwise it is subscribed for its members alone. */
  isPlain = true;
  /** Its members, if the client is present. */
  members: MemberList | undefined;
  /** Settles when the worker has subscribed, after the last restart if there was one, or when the topic is dropped. */
  subscribed: Promise<Subscribed>;
  #settle: Settle<Subscribed>;
  /** Newest position received, and the newest received before the current connection. */
  #last: string | undefined;
  #seen: string | undefined;
  /** Number of restarts: replies to commands before the last restart are outdated. */
  attempt = 0;

  constructor(name: string, since: string | undefined) {
    this.name = name;
    this.since = since;
    [this.subscribed, this.#settle] = settleable();
  }

  /** Forgets what was received, so that it is delivered again. */
  startOver(): void {
    this.#last = undefined;
    this.#seen = undefined;
  }

  /** Starts over from another position. */
  restart(since: string): void {
    this.startsOver = true;
    this.isSubscribed = false;
    this.since = since;
    this.attempt++;
    this.members?.outdated();
    const { resolve, reject } = this.#settle;
    [this.subscribed, this.#settle] = settleable();
    this.subscribed.then(resolve, reject);
  }

  /**
   * Must be called when the worker has subscribed. `position` is the start of the replay, until the topic has caught
   * up.
   */
  onSubscribed({ recovered, position }: Subscribed & { readonly position?: string | undefined }): void {
    this.isSubscribed = true;
    if (this.startsOver) this.startOver();
    this.startsOver = false;
    this.since = position;
    this.#settle.resolve({ recovered });
  }

  /** Must be called when the connection is lost. */
  disconnected(): void {
    this.isSubscribed = false;
    this.members?.outdated();
    if (this.startsOver) this.startOver();
    else this.#seen = this.#last;
  }

  /**
   * Whether the publication was not received over an earlier connection. A resumed connection repeats what was received
   * after its position: copies of a partly lost publication, and publications received while the topic caught up.
   */
  isNew(position: string): boolean {
    return this.#seen === undefined || isLater(position, this.#seen);
  }

  drop(error: FanwireError): void {
    this.#settle.reject(error);
    this.members?.end(error);
  }

  /**
   * Records a position, which is its own as long as it catches up. Ignores an earlier subscription, from which
   * publications arrive until the worker has subscribed again.
   */
  receive(position: string, isCatchingUp: boolean): void {
    if (!this.isSubscribed) return;
    if (this.#last === undefined || isAfter(position, this.#last)) this.#last = position;
    this.since = isCatchingUp ? position : undefined;
  }
}

/** The topics and patterns that the client subscribes to on each connection. */
export class Topics {
  readonly #topics = new Map<string, Topic>();

  constructor(names: readonly string[]) {
    for (const topic of names) {
      checkTypes("string", { topic });
      this.add(topic);
    }
  }

  /** Returns the topic, and whether it is new. */
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

  /** Must be called when the connection is lost. */
  disconnected(): void {
    for (const topic of this.#topics.values()) topic.disconnected();
  }

  /** Must be called when the client has received everything up to the position of the connection. */
  caughtUp(): void {
    for (const topic of this.#topics.values()) if (topic.isSubscribed) topic.since = undefined;
  }

  /** Records a publication in `progress`. Returns false when this copy was received before. */
  receive({ topic, subscription, position, resume, isCatchingUp }: ReceivedPublication, progress: Progress): boolean {
    if (position === undefined || resume === undefined) return true;
    if (isCatchingUp && topic === undefined) {
      progress.userSince = position;
      return true;
    }
    const known = this.#topics.get(subscription ?? topic ?? "");
    const isNew = known?.isNew(position) ?? true;
    known?.receive(position, isCatchingUp);
    // Other subscriptions may be behind one that catches up, also one that has ended or that the application began.
    if (!isCatchingUp) progress.advance(resume);
    return isNew;
  }
}
