import type { Connection } from "../connections/connection.ts";
import type { Member, MemberList } from "../wire/presence.ts";

export type { Member, MemberList, PresenceChange } from "../wire/presence.ts";

/** Maximum members of a list, unless the caller asks for all. */
export const MAX_LISTED = 1_000;

export type JoinOptions = {
  /** A user who would be one member more than this is refused. No limit if absent. */
  readonly maxMembers?: number;
  /** Whether the list has all members, also above {@link MAX_LISTED}. */
  readonly isListWhole?: boolean;
  /** Whether the connection receives no changes until {@link Presence.release}. */
  readonly isHeld?: boolean;
  /** Called instead of `onOutcome` if the connection leaves, but does not close, before the outcome. */
  onLeave?(): void;
};

export type JoinOutcome =
  | { readonly ok: true; readonly list: MemberList }
  | { readonly ok: false; readonly reason: "limit" };

/** A change of this worker's connections only: the first one of a user on a topic appeared, or the last one disappeared. */
export type LocalChange = {
  readonly topic: string;
  readonly member: Member;
  readonly isPresent: boolean;
  /** Number of users with connections of this worker on the topic, after the change. */
  readonly localMembers: number;
};

/** A member with the number of its connections to this worker. */
export type LocalMember = Member & { readonly connections: number };

/** The members of topics: users with a connection, to any worker, that has joined the topic with presence. */
export class Presence {
  /**
   * Makes the user of a connection a member. `onOutcome` is called once, in a later tick, when this worker knows the members on all
   * workers. From that tick on the connection receives changes, unless it is held. It is never called after the connection has left
   * or closed. A connection that has joined already gets a new outcome, and its member stays as it is.
   */
  join(
    _connection: Connection,
    _topic: string,
    _member: Member,
    _options: JoinOptions,
    _onOutcome: (outcome: JoinOutcome) => void,
  ): void {
    throw new Error("not implemented");
  }

  /** Returns the current list for a connection that joined held. From this call on it receives changes. */
  release(_connection: Connection, _topic: string, _isListWhole?: boolean): MemberList | undefined {
    throw new Error("not implemented");
  }

  /** Does nothing if the connection has not joined. */
  leave(_connection: Connection, _topic: string): void {}

  /** Must be called when a connection has closed. */
  close(_connection: Connection): void {}

  /** Returns the members with connections to this worker, sorted by user. */
  members(_topic: string): readonly LocalMember[] {
    return [];
  }

  /** Returns the member that a connection is on a topic. Undefined until the outcome of its join. */
  isMember(_connection: Connection, _topic: string): Member | undefined {
    return undefined;
  }

  /** Calls `listener` with each change of this worker's connections, in the tick of the change. */
  onLocalChange(_listener: (change: LocalChange) => void): void {}
}
