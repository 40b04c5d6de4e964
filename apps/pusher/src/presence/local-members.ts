import type { PresentUser } from "@fanwire/protocol";
import type { LocalMember, Member } from "./members.ts";

type Joined = { readonly member: Member; readonly since: number };

/** The members of one topic with connections to this worker. */
export class LocalMembers {
  /** Connections of each user by id, the one that joined first comes first. */
  readonly #users = new Map<string, Map<number, Joined>>();

  /** Number of users. */
  get size(): number {
    return this.#users.size;
  }

  has(user: string): boolean {
    return this.#users.has(user);
  }

  add(connectionId: number, member: Member): void {
    const joined = { member, since: Date.now() };
    const connections = this.#users.get(member.user);
    if (connections) connections.set(connectionId, joined);
    else this.#users.set(member.user, new Map([[connectionId, joined]]));
  }

  remove(connectionId: number, user: string): void {
    const connections = this.#users.get(user);
    if (connections?.delete(connectionId) && connections.size === 0) this.#users.delete(user);
  }

  /** Returns what other workers learn of a user; undefined if it has no connection. */
  present(user: string): PresentUser | undefined {
    const connections = this.#users.get(user);
    const first = connections && firstOf(connections.values());
    return first && presentUser(first);
  }

  *presentUsers(): Iterable<PresentUser> {
    for (const connections of this.#users.values()) {
      const first = firstOf(connections.values());
      if (first) yield presentUser(first);
    }
  }

  /** Returns all, sorted by user. */
  list(): LocalMember[] {
    const all: LocalMember[] = [];
    for (const [user, connections] of this.#users) {
      const { member, since = 0 } = firstOf(connections.values()) ?? {};
      all.push({ user, info: member?.info, since, connections: connections.size });
    }
    return all.sort((one, other) => (one.user < other.user ? -1 : 1));
  }
}

function firstOf<Value>(values: Iterable<Value>): Value | undefined {
  for (const value of values) return value;
  return undefined;
}

function presentUser({ member: { user, info }, since }: Joined): PresentUser {
  return info === undefined ? { user, since } : { user, since, info };
}
