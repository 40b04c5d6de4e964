import type { PresentUser } from "@fanwire/protocol";
import { MAX_LISTED, type Member, type MemberList, type PresenceChange } from "./members.ts";

/** A worker to which a user has connections. */
type Holder = {
  readonly worker: string;
  readonly since: number;
  readonly info: unknown;
  /** Order of the claim if the user only claims a place. */
  readonly claim: number | undefined;
  readonly bytes: number;
};

type Entry = {
  readonly user: string;
  /** The `info` of the connection that joined first, also after it has closed. */
  info: unknown;
  /** Claims come last. */
  holders: Holder[];
  /** Whether the clients of this worker know the member. */
  isShown: boolean;
  /** Until then a member without connections is still shown. */
  heldUntil: number;
};

/** Another worker with users on the topic, as far as this worker knows. */
type KnownWorker = { counter: number; users: number };

type ViewParts = {
  readonly topic: string;
  readonly leaveMs: number;
  /** Called when clients may have to learn of a change. */
  onChange(): void;
  /**
   * Called when a member lost its last connection, so that {@link TopicView.endHold} must be called after `leaveMs`.
   */
  onHold(user: string): void;
  /** Called with the change of the bytes that the view takes. */
  onBytes(bytes: number): void;
};

/** Approximate bytes of memory that a user of a worker takes beside its name and `info`. */
const HOLDER_BYTES = 250;
/**
 * Maximum users of a change that names all. For Pusher clients each is a frame, written to hundreds of connections in
 * one tick.
 */
const MAX_WHOLE = 500;

/** The members of one topic on all workers, and what the clients of this worker know of them. */
export class TopicView {
  readonly #parts: ViewParts;
  readonly #entries = new Map<string, Entry>();
  readonly #changed = new Set<Entry>();
  readonly #workers = new Map<string, KnownWorker>();
  /** Users with claims only. */
  readonly #claiming = new Set<Entry>();
  #lastOrder = 0;
  #present = 0;
  #shown = 0;
  #bytes = 0;
  /** Shared by all that ask between two changes. */
  #list: readonly Member[] | undefined;

  constructor(parts: ViewParts) {
    this.#parts = parts;
  }

  /** Number of members that the clients know. */
  get shown(): number {
    return this.#shown;
  }

  /** Number of users with connections. */
  get present(): number {
    return this.#present;
  }

  isPresent(user: string): boolean {
    return isPresent(this.#entries.get(user));
  }

  /** Returns the order of a new claim, which is higher than that of all claims that this worker knows. */
  nextOrder(): number {
    this.#lastOrder = Math.max(Date.now(), this.#lastOrder + 1);
    return this.#lastOrder;
  }

  /** Returns the users who become members if there are `maxMembers` places: those whose claims are the first. */
  grantable(maxMembers: number): ReadonlySet<string> {
    const claims = [...this.#claiming].sort((one, other) => byAge(one.holders[0], other.holders[0]));
    return new Set(claims.slice(0, Math.max(0, maxMembers - this.#present)).map(({ user }) => user));
  }

  isShown(user: string): boolean {
    return this.#entries.get(user)?.isShown ?? false;
  }

  /**
   * Returns the counter of the last announcement of a worker that is part of the view; undefined if it has no users
   * here.
   */
  counterOf(worker: string): number | undefined {
    return this.#workers.get(worker)?.counter;
  }

  /** Returns the members that clients know. Changes that are taken later apply to this list. */
  list(isWhole: boolean): MemberList {
    if (!isWhole && this.#shown > MAX_LISTED) return { count: this.#shown, members: undefined };
    this.#list ??= this.#listShown();
    return { count: this.#shown, members: this.#list };
  }

  #listShown(): Member[] {
    const members: Member[] = [];
    for (const { user, info, isShown } of this.#entries.values()) if (isShown) members.push({ user, info });
    return members;
  }

  /** Adds or replaces a user of a worker. */
  add(worker: string, { user, since, info, claim }: PresentUser): void {
    const entry = this.#entries.get(user) ?? this.#open(user);
    const others = entry.holders.filter((holder) => holder.worker !== worker);
    if (others.length < entry.holders.length) this.#countBytes(worker, entry, -1);
    this.#lastOrder = Math.max(this.#lastOrder, claim ?? 0);
    const bytes = HOLDER_BYTES + 2 * user.length + (info === undefined ? 0 : 2 * JSON.stringify(info).length);
    this.#setHolders(entry, [...others, { worker, since, info, claim, bytes }].sort(byAge));
    this.#countBytes(worker, entry, 1);
  }

  /** Removes a user of a worker. */
  remove(worker: string, user: string): void {
    const entry = this.#entries.get(user);
    if (entry !== undefined) this.#removeHolder(worker, entry);
  }

  #removeHolder(worker: string, entry: Entry): void {
    const others = entry.holders.filter((holder) => holder.worker !== worker);
    if (others.length === entry.holders.length) return;
    this.#countBytes(worker, entry, -1);
    this.#setHolders(entry, others);
  }

  #setHolders(entry: Entry, holders: Holder[]): void {
    const wasPresent = isPresent(entry);
    entry.holders = holders;
    const isNow = isPresent(entry);
    if (holders.length > 0 && !isNow) this.#claiming.add(entry);
    else this.#claiming.delete(entry);
    this.#present += Number(isNow) - Number(wasPresent);
    if (isNow) {
      entry.info = holders[0]?.info;
      if (entry.isShown) this.#list = undefined;
      else this.#change(entry);
    } else if (wasPresent) this.#onLeft(entry);
    else if (holders.length === 0 && !entry.isShown && !this.#changed.has(entry)) this.#entries.delete(entry.user);
  }

  #onLeft(entry: Entry): void {
    const { leaveMs, onHold } = this.#parts;
    if (!entry.isShown || leaveMs === 0) this.#change(entry);
    else {
      entry.heldUntil = performance.now() + leaveMs;
      onHold(entry.user);
    }
  }

  /** Must be called when the time of `onHold` is over. The user may have returned meanwhile, or have left again. */
  endHold(user: string): void {
    const entry = this.#entries.get(user);
    if (entry && !isPresent(entry) && entry.heldUntil <= performance.now()) this.#change(entry);
  }

  /** Applies an announcement of a worker whose earlier ones have been applied. */
  apply(worker: string, counter: number, joined: readonly PresentUser[], left: readonly string[]): void {
    for (const user of left) this.remove(worker, user);
    for (const present of joined) this.add(worker, present);
    this.#setCounter(worker, counter);
  }

  /** Replaces all users of a worker. */
  replace(worker: string, counter: number, users: ReadonlyMap<string, PresentUser>): void {
    if (this.#workers.has(worker)) {
      for (const entry of this.#entries.values()) if (!users.has(entry.user)) this.#removeHolder(worker, entry);
    }
    for (const present of users.values()) this.add(worker, present);
    this.#setCounter(worker, counter);
  }

  /** Removes all users of a worker. */
  drop(worker: string): void {
    if (!this.#workers.has(worker)) return;
    for (const entry of this.#entries.values()) this.#removeHolder(worker, entry);
    this.#workers.delete(worker);
  }

  #setCounter(worker: string, counter: number): void {
    const known = this.#workers.get(worker);
    if (known === undefined) return;
    known.counter = counter;
    if (known.users === 0) this.#workers.delete(worker);
  }

  /** Whether {@link takeChange} has left something. */
  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /**
   * Returns what clients must learn since the last call; undefined if nothing. Names at most `MAX_LISTED` users. With
   * `isWhole` it names all, because Pusher clients have no other way to learn of them. If they are many, it leaves some
   * for the next call.
   */
  takeChange(isWhole = false): PresenceChange | undefined {
    const joined: Member[] = [];
    const left: Member[] = [];
    let changes = 0;
    const now = performance.now();
    for (const entry of this.#changed) {
      if (isWhole && changes >= MAX_WHOLE) break;
      this.#changed.delete(entry);
      const { user, info, holders, isShown } = entry;
      // A member that left, returned and left again is held back again.
      const isMember = isPresent(entry) || (isShown && entry.heldUntil > now);
      if (isMember !== isShown) {
        changes++;
        if (changes <= MAX_LISTED) (isMember ? joined : left).push({ user, info });
        entry.isShown = isMember;
        this.#shown += isMember ? 1 : -1;
        this.#list = undefined;
      }
      if (!isMember && holders.length === 0) this.#entries.delete(user);
    }
    if (changes === 0) return undefined;
    return { topic: this.#parts.topic, joined, left, count: this.#shown, isPartial: changes > MAX_LISTED };
  }

  /** Must be called when the view is not needed any longer. */
  close(): void {
    this.#parts.onBytes(-this.#bytes);
    this.#bytes = 0;
    this.#entries.clear();
    this.#changed.clear();
    this.#claiming.clear();
  }

  #open(user: string): Entry {
    const entry: Entry = { user, info: undefined, holders: [], isShown: false, heldUntil: 0 };
    this.#entries.set(user, entry);
    return entry;
  }

  #change(entry: Entry): void {
    this.#changed.add(entry);
    this.#parts.onChange();
  }

  #countBytes(worker: string, { holders }: Entry, sign: 1 | -1): void {
    const holder = holders.find((each) => each.worker === worker);
    if (holder === undefined) return;
    this.#bytes += sign * holder.bytes;
    this.#parts.onBytes(sign * holder.bytes);
    const known = this.#workers.get(worker);
    if (known) known.users += sign;
    else this.#workers.set(worker, { counter: 0, users: 1 });
  }
}

function isPresent(entry: Entry | undefined): boolean {
  const first = entry?.holders[0];
  return first !== undefined && first.claim === undefined;
}

/** The oldest first, then the claims in their order. All workers have the same order. */
function byAge(one: Holder | undefined, other: Holder | undefined): number {
  if (one === undefined || other === undefined) return 0;
  const order = (one.claim ?? 0) - (other.claim ?? 0) || one.since - other.since;
  return order || (one.worker < other.worker ? -1 : 1);
}
