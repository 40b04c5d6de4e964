/** A set that mostly has one member. It is then that member itself, because a `Set` takes 200 bytes. Undefined if it is empty. */
export type SmallSet<Member extends string | number> = Member | Set<Member> | undefined;

/** Returns the set with one more member. The result replaces the set. */
export function withMember<Member extends string | number>(set: SmallSet<Member>, member: Member): SmallSet<Member> {
  if (set === undefined) return member;
  if (set instanceof Set) return set.add(member);
  return set === member ? set : new Set([set, member]);
}

/** Returns the set without a member. The result replaces the set. */
export function withoutMember<Member extends string | number>(set: SmallSet<Member>, member: Member): SmallSet<Member> {
  if (!(set instanceof Set)) return set === member ? undefined : set;
  set.delete(member);
  return set.size === 0 ? undefined : set;
}

export function hasMember<Member extends string | number>(set: SmallSet<Member>, member: Member): boolean {
  return set instanceof Set ? set.has(member) : set === member;
}

export function countMembers(set: SmallSet<string | number>): number {
  if (set instanceof Set) return set.size;
  return set === undefined ? 0 : 1;
}

/** Returns the members in the order of their addition. */
export function membersOf<Member extends string | number>(set: SmallSet<Member>): Iterable<Member> {
  if (set instanceof Set) return set;
  return set === undefined ? [] : [set];
}
