/** A user on a topic. */
export type Member = {
  readonly user: string;
  /** Any JSON value that the application has attached to the user; undefined if there is none. */
  readonly info: unknown;
};

export type MemberList = {
  readonly count: number;
  /** Undefined if there are too many for a list. */
  readonly members: readonly Member[] | undefined;
};

/** A change of the members of a topic, as clients see it. */
export type PresenceChange = {
  readonly topic: string;
  readonly joined: readonly Member[];
  readonly left: readonly Member[];
  /** Number of members after the change. */
  readonly count: number;
  /** Whether `joined` and `left` lack some members, because too many changed at the same time. */
  readonly isPartial: boolean;
};

/** Returns the members of a JSON message with a list. */
export function listFields({ count, members }: MemberList): { readonly count: number; readonly members?: object[] } {
  return members === undefined ? { count } : { count, members: members.map(memberJson) };
}

/** Returns the members of a JSON message with a change. */
export function changeFields({ topic, joined, left, count, isPartial }: PresenceChange): Record<string, unknown> {
  return {
    topic,
    joined: joined.map(memberJson),
    left: left.map(({ user }) => user),
    count,
    ...(isPartial && { partial: true }),
  };
}

function memberJson({ user, info }: Member): object {
  return info === undefined ? { user } : { user, info };
}
