import type { Member } from "../wire/presence.ts";

export type { Member, MemberList, PresenceChange } from "../wire/presence.ts";

/** A member with the number of its connections to this worker. */
export type LocalMember = Member & {
  readonly connections: number;
  /** Unix milliseconds at which the oldest of them joined. */
  readonly since: number;
};

/**
 * A change of this worker's connections only: the first one of a user on a topic appeared, or the last one disappeared.
 */
export type LocalChange = {
  readonly topic: string;
  readonly member: Member;
  readonly isPresent: boolean;
  /** Number of users with connections to this worker on the topic, after the change. */
  readonly localMembers: number;
};

/** Maximum members of a list, unless the caller asks for all, and of one change. */
export const MAX_LISTED = 1_000;
