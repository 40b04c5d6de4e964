import { checkTypes } from "./check-types.ts";
import type { OkReply } from "./commands.ts";
import type { FanwireError } from "./error.ts";
import { guarded } from "./guarded.ts";
import type { Member, PresenceMessage } from "./messages.ts";
import { type Settle, settleable } from "./settleable.ts";

/** Workers send no list of a topic with more members. */
const MAX_LISTED = 1_000;
const RETRY_MS = 5_000;

export type PresenceChange = {
  /** Users who have joined since the last change. The first list is no change: its users are in `members` alone. */
  readonly joined: readonly Member[];
  /** Users who have left since the last change. */
  readonly left: readonly string[];
  readonly members: ReadonlyMap<string, unknown>;
  readonly count: number;
};

/** The members of a topic: its users with a connection that is present there, on any worker. */
export interface Presence {
  readonly topic: string;
  /** Users, each with the `info` of its token if there is any. Stays as it was while the client is disconnected. */
  readonly members: ReadonlyMap<string, unknown>;
  /** Number of members. */
  readonly count: number;
  /**
   * Whether the worker keeps the list up to date now: false before the first list, while disconnected, and at the end.
   */
  readonly isCurrent: boolean;
  /** Whether `members` holds all of them. Otherwise it is empty: above 1,000 members workers send the count alone. */
  readonly isComplete: boolean;
  /** Resolves with the first list. Rejects with a {@link FanwireError} when the presence ends before that. */
  readonly subscribed: Promise<void>;
  /**
   * Calls `listener` with the first list and after each change, also with what changed while the client was
   * disconnected. In a topic of more than 1,000 members `joined` and `left` may name only some users. Returns a
   * function that removes the listener.
   */
  on(event: "change", listener: (change: PresenceChange) => void): () => void;
  /**
   * Calls `listener` once when the presence ends without a call of `leave` or `close`: a worker refuses it, a new token
   * does not allow it, or the application ends the subscription. The client does not join again.
   */
  on(event: "end", listener: (error: FanwireError) => void): () => void;
  /** Leaves the topic, which stays subscribed if `subscribe` was called for it. Rejects with a {@link FanwireError}. */
  leave(): Promise<void>;
}

type Listeners = { change(change: PresenceChange): void; end(error: FanwireError): void };

/** The last known members of one topic. */
export class MemberList implements Presence {
  readonly topic: string;
  members: ReadonlyMap<string, unknown> = new Map();
  count = 0;
  isCurrent = false;
  isComplete = false;
  readonly subscribed: Promise<void>;
  readonly #settle: Settle<void>;
  readonly #onLeave: () => Promise<void>;
  readonly #listeners: { readonly [Event in keyof Listeners]: Set<Listeners[Event]> } = {
    change: new Set(),
    end: new Set(),
  };
  /** Number of requests. Only the reply to the last one counts. */
  #requests = 0;
  #isAsked = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(topic: string, onLeave: () => Promise<void>) {
    this.topic = topic;
    this.#onLeave = onLeave;
    [this.subscribed, this.#settle] = settleable();
  }

  on<Event extends keyof Listeners>(event: Event, listener: Listeners[Event]): () => void {
    checkTypes("function", { listener });
    const listeners: Set<Listeners[Event]> = this.#listeners[event];
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  leave(): Promise<void> {
    return this.#onLeave();
  }

  /** Must be called when the list is requested. Returns whether its reply still counts. */
  asked(): () => boolean {
    this.#isAsked = true;
    this.#requests++;
    const request = this.#requests;
    return () => request === this.#requests;
  }

  /** Calls `ask` after `delayMs`, unless the connection is lost or the list ends before. */
  askLater(ask: () => void, delayMs = RETRY_MS): void {
    this.#isAsked = true;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(ask, delayMs);
  }

  /** Does the same at a random time, because all clients of a topic can have a reason to ask at the same time. */
  askSometime(ask: () => void): void {
    this.askLater(ask, Math.random() * RETRY_MS);
  }

  /** Takes the list of a reply. */
  onList({ members }: OkReply, count: number): void {
    const isKnown = this.isComplete && members !== undefined;
    const [joined, left] = isKnown ? [members, [...this.members.keys()]] : [[], []];
    const isNews = !isKnown || this.count !== count;

    this.count = count;
    this.isCurrent = true;
    this.isComplete = members !== undefined;
    this.#isAsked = false;
    this.#settle.resolve();
    this.#replace(new Map(members?.map(({ user, info }) => [user, info])), joined, left, isNews);
  }

  /**
   * Takes a change. Returns whether the list should be requested, because it is not complete and short enough again.
   */
  onChange({ joined = [], left = [], count, partial = false }: PresenceMessage): boolean {
    // The list comes first, and earlier messages belong to a list that the client has left.
    if (!this.isCurrent) return false;
    const isNewCount = count !== this.count;
    this.count = count;
    if (partial) this.isComplete = false;
    if (this.isComplete) this.#apply(joined, left, isNewCount);
    else {
      this.members = new Map();
      this.#emit(joined, left);
    }
    return !this.isComplete && !this.#isAsked && count <= MAX_LISTED;
  }

  #apply(joined: readonly Member[], left: readonly string[], isNews: boolean): void {
    const members = new Map(this.members);
    for (const user of left) members.delete(user);
    for (const { user, info } of joined) members.set(user, info);
    this.#replace(members, joined, left, isNews);
  }

  /** Replaces the members. Some of `joined` may have been there before, and some of `left` may be there still. */
  #replace(
    members: ReadonlyMap<string, unknown>,
    joined: readonly Member[],
    left: readonly string[],
    isNews: boolean,
  ): void {
    const before = this.members;
    this.members = members;
    const newcomers = joined.filter(({ user }) => !before.has(user));
    const leavers = left.filter((user) => before.has(user) && !members.has(user));
    if (isNews || newcomers.length + leavers.length > 0) this.#emit(newcomers, leavers);
  }

  /** Must be called when the worker no longer keeps the list up to date. */
  outdated(): void {
    this.isCurrent = false;
    this.#isAsked = false;
    this.#requests++;
    clearTimeout(this.#retryTimer);
  }

  /** Must be called once, when the list ends. */
  end(error: FanwireError): void {
    this.outdated();
    this.#listeners.change.clear();
    this.#settle.reject(error);
    if (error.code === "closed") return;
    for (const listener of this.#listeners.end) guarded(() => listener(error));
  }

  #emit(joined: readonly Member[], left: readonly string[]): void {
    const change = { joined, left, members: this.members, count: this.count };
    for (const listener of [...this.#listeners.change]) guarded(() => listener(change));
  }
}
