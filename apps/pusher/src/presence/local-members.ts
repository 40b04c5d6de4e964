import type { PresentUser } from "@fanwire/protocol";
import type { LocalMember, Member } from "./members.ts";

type Joined = { readonly member: Member; readonly since: number };
/** Connections of a user by id, the one that joined first comes first. */
type Connections = Map<number, Joined>;

/** The members of one topic with connections to this worker, and the users that claim a place. */
export class LocalMembers {
  readonly #users = new Map<string, Connections>();
  readonly #claims = new Map<string, { readonly order: number; readonly connections: Connections }>();

  /** Number of members. */
  get size(): number {
    return this.#users.size;
  }

  /** Whether there are neither members nor claims, so that other workers need not know of this one. */
  get isEmpty(): boolean {
    return this.#users.size + this.#claims.size === 0;
  }

  has(user: string): boolean {
    return this.#users.has(user);
  }

  /** Adds a connection of a member, which may have claimed the place. */
  add(connectionId: number, member: Member): void {
    removeFrom(this.#claims, member.user, connectionId, this.#claims.get(member.user)?.connections);
    const connections = this.#users.get(member.user) ?? new Map();
    this.#users.set(member.user, connections.set(connectionId, { member, since: Date.now() }));
  }

  /**
   * Claims a place for a user who is no member. A claim that the user has already keeps its order. Returns whether it
   * is new.
   */
  claim(connectionId: number, member: Member, nextOrder: () => number): boolean {
    const claim = this.#claims.get(member.user);
    const joined = { member, since: Date.now() };
    if (claim) claim.connections.set(connectionId, joined);
    else this.#claims.set(member.user, { order: nextOrder(), connections: new Map([[connectionId, joined]]) });
    return claim === undefined;
  }

  remove(connectionId: number, user: string): void {
    removeFrom(this.#users, user, connectionId, this.#users.get(user));
    removeFrom(this.#claims, user, connectionId, this.#claims.get(user)?.connections);
  }

  /** Returns what other workers learn of a user; undefined if it has no connection. */
  present(user: string): PresentUser | undefined {
    const claim = this.#users.has(user) ? undefined : this.#claims.get(user);
    return presentUser(claim?.connections ?? this.#users.get(user), claim?.order);
  }

  *presentUsers(): Iterable<PresentUser> {
    for (const user of [...this.#users.keys(), ...this.#claims.keys()]) {
      const present = this.present(user);
      if (present) yield present;
    }
  }

  /** All members, in no order. Members may join and leave during the iteration. */
  *members(): Iterable<LocalMember> {
    for (const [user, connections] of this.#users) {
      const { member, since = 0 } = firstOf(connections.values()) ?? {};
      yield { user, info: member?.info, since, connections: connections.size };
    }
  }
}

function removeFrom(all: Map<string, unknown>, user: string, connectionId: number, connections?: Connections): void {
  if (connections?.delete(connectionId) && connections.size === 0) all.delete(user);
}

function firstOf<Value>(values: Iterable<Value>): Value | undefined {
  for (const value of values) return value;
  return undefined;
}

function presentUser(connections: Connections | undefined, claim: number | undefined): PresentUser | undefined {
  const first = connections && firstOf(connections.values());
  if (first === undefined) return undefined;
  const { member, since } = first;
  const { user, info } = member;
  return { user, since, ...(info !== undefined && { info }), ...(claim !== undefined && { claim }) };
}
