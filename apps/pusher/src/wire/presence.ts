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
  /** Whether `joined` and `left` lack some members, because there were too many at once. */
  readonly isPartial: boolean;
};
