import { userOf } from "@fanwire/pusher-protocol";
import { SlicedWork } from "../../pacing/sliced-work.ts";
import { HeldLeaves } from "../../presence/held-leaves.ts";
import { pusherErrors } from "../../wire/pusher-close-codes.ts";
import { pusherError, watchlistEvents } from "../../wire/pusher-frames.ts";
import type { ClusterCounts } from "./cluster-counts.ts";
import type { PusherSession } from "./session.ts";

const PREFIX = "user:";
const MAX_WATCHED = 100;
/** Time after which a client receives its first list: of the users whose state is known, usually all of them. */
const FIRST_LIST_MS = 500;
const CHECK_EVERY_MS = 100;

/** For each watched user, by key: the id, and whether the client has received that the user is online. */
type Watchlist = Map<string, { readonly id: string; isOnline: boolean | undefined }>;

/** Informs clients which users of their watchlist are online: signed in on at least one connection of the cluster. */
export class Watchlists {
  readonly #counts: ClusterCounts;
  readonly #watchlists = new Map<PusherSession, Watchlist>();
  readonly #watchers = new Map<string, Set<PusherSession>>();
  /** Clients that receive their first list soon. */
  readonly #starting = new Map<PusherSession, NodeJS.Timeout>();
  readonly #online = new Map<string, Set<PusherSession>>();
  /** Watched users with connections, as far as this worker knows. */
  readonly #seen = new Set<string>();
  /**
   * Users who have just lost their last connection, and until when they count as online: a page may only be reloading.
   */
  readonly #heldUntil = new Map<string, number>();
  readonly #leaveMs: number;
  readonly #leaves: HeldLeaves<{ endHold(key: string): void }>;
  readonly #ended = new Set<string>();
  /** For each watched user, whether the watchers were last informed that the user is online. */
  readonly #shown = new Map<string, boolean>();
  /** Users of whom some watchers have another state, or none. */
  readonly #unsettled = new Set<string>();
  /** All clients may watch the same users. */
  readonly #work = new SlicedWork();
  readonly #timer: NodeJS.Timeout;

  /** @param leaveMs time for which a user without connections still counts as online. */
  constructor(counts: ClusterCounts, leaveMs: number) {
    this.#counts = counts;
    this.#leaveMs = leaveMs;
    this.#leaves = new HeldLeaves(leaveMs);
    this.#timer = setInterval(() => this.#endHolds(), CHECK_EVERY_MS);
    this.#timer.unref();
  }

  /** Must be called when a client has signed in. `watched` is unchecked. */
  signIn(session: PusherSession, watched: unknown): void {
    const { app, user } = session;
    if (!app.watchlist || user === undefined) return;
    this.#setOnline(session, user.id);
    if (Array.isArray(watched)) this.#watch(session, watched);
  }

  /** Must be called when a connection has closed. */
  close(session: PusherSession): void {
    const { user } = session;
    if (user !== undefined) this.#setOffline(session, user.id);
    clearTimeout(this.#starting.get(session));
    this.#starting.delete(session);
    for (const key of this.#watchlists.get(session)?.keys() ?? []) {
      const watchers = this.#watchers.get(key);
      if (!watchers?.delete(session) || watchers.size > 0) continue;
      this.#watchers.delete(key);
      this.#seen.delete(key);
      this.#heldUntil.delete(key);
      this.#shown.delete(key);
      this.#unsettled.delete(key);
      this.#counts.unwatch(key);
    }
    this.#watchlists.delete(session);
  }

  /** Must be called with keys of {@link ClusterCounts} whose totals are known, and may have changed. */
  onChanged(keys: ReadonlySet<string>): void {
    for (const key of keys) if (this.#watchers.has(key)) this.#note(key);
    this.#work.add(this.#informWatchers(keys));
  }

  #note(key: string): void {
    if (this.#counts.total(key) > 0) {
      this.#seen.add(key);
      this.#heldUntil.delete(key);
    } else if (this.#seen.delete(key)) {
      this.#heldUntil.set(key, performance.now() + this.#leaveMs);
      this.#leaves.hold(this, key);
    }
  }

  /** Must be called when a hold is over. The user may have returned, or have left again. */
  endHold(key: string): void {
    const until = this.#heldUntil.get(key);
    if (until === undefined || until > performance.now()) return;
    this.#heldUntil.delete(key);
    this.#ended.add(key);
  }

  #endHolds(): void {
    this.#leaves.endExpired();
    if (this.#ended.size === 0) return;
    this.#work.add(this.#informWatchers([...this.#ended]));
    this.#ended.clear();
  }

  *#informWatchers(keys: Iterable<string>): Iterable<void> {
    const changed = new Map<PusherSession, string[]>();
    for (const key of keys) {
      yield;
      if (!this.#watchers.has(key) || !this.#hasNews(key)) continue;
      for (const session of this.#watchers.get(key) ?? []) {
        if (this.#starting.has(session)) continue;
        const own = changed.get(session);
        if (own) own.push(key);
        else changed.set(session, [key]);
        yield;
      }
    }
    for (const [session, own] of changed) {
      this.#inform(session, own);
      yield;
    }
  }

  /** Whether watchers must be informed of a user. After a reconnection to NATS all users may have the same state. */
  #hasNews(key: string): boolean {
    const isOnline = this.#isOnline(key);
    if (this.#shown.get(key) === isOnline && !this.#unsettled.delete(key)) return false;
    this.#shown.set(key, isOnline);
    this.#unsettled.delete(key);
    return true;
  }

  #isOnline(key: string): boolean {
    return this.#counts.total(key) > 0 || this.#heldUntil.has(key);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const timer of this.#starting.values()) clearTimeout(timer);
    // Ends sliced work.
    this.#watchers.clear();
    this.#watchlists.clear();
  }

  #setOnline(session: PusherSession, id: string): void {
    const key = keyOf(session, id);
    if (key === undefined) return;
    const sessions = this.#online.get(key) ?? new Set();
    this.#online.set(key, sessions.add(session));
    this.#counts.set(key, 1);
  }

  #setOffline(session: PusherSession, id: string): void {
    const key = keyOf(session, id);
    const sessions = key === undefined ? undefined : this.#online.get(key);
    if (key === undefined || !sessions?.delete(session) || sessions.size > 0) return;
    this.#online.delete(key);
    this.#counts.set(key, 0);
  }

  #watch(session: PusherSession, watched: readonly unknown[]): void {
    const ids = [...new Set(watched)].filter((id) => typeof id === "string");
    if (ids.length > MAX_WATCHED) {
      session.send(pusherError(pusherErrors.watchlistLimit, `only the first ${MAX_WATCHED} users are watched`));
    }
    const watchlist: Watchlist = this.#watchlists.get(session) ?? new Map();
    this.#watchlists.set(session, watchlist);
    for (const id of ids.slice(0, MAX_WATCHED)) {
      const key = keyOf(session, id);
      if (key === undefined || watchlist.has(key) || watchlist.size >= MAX_WATCHED) continue;
      watchlist.set(key, { id, isOnline: undefined });
      this.#watchers.set(key, (this.#watchers.get(key) ?? new Set()).add(session));
      this.#counts.watch(key);
    }
    if (watchlist.size === 0 || this.#starting.has(session)) return;
    const timer = setTimeout(() => {
      this.#starting.delete(session);
      this.#inform(session, [...watchlist.keys()]);
    }, FIRST_LIST_MS);
    this.#starting.set(session, timer);
  }

  #inform(session: PusherSession, keys: readonly string[]): void {
    const watchlist = this.#watchlists.get(session);
    const online: string[] = [];
    const offline: string[] = [];
    for (const key of keys) {
      const user = watchlist?.get(key);
      if (user === undefined) continue;
      if (!this.#counts.isKnown(key)) {
        // Watchers are informed when it is known.
        this.#unsettled.add(key);
        continue;
      }
      const isOnline = this.#isOnline(key);
      if (isOnline !== this.#shown.get(key)) this.#unsettled.add(key);
      if (user.isOnline === isOnline) continue;
      user.isOnline = isOnline;
      (isOnline ? online : offline).push(user.id);
    }
    if (online.length + offline.length > 0) session.send(watchlistEvents({ online, offline }));
  }
}

function keyOf({ app }: PusherSession, id: string): string | undefined {
  const user = userOf(app, id);
  return user === undefined ? undefined : PREFIX + user;
}
