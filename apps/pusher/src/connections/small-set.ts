/**
 * A set that mostly has one member. It is then that member itself, because a `Set` takes 200 bytes. Undefined if it is
 * empty.
 */
export type SmallSet<Member extends Small> = Member | Set<Member> | undefined;
/** Anything but a `Set`. */
type Small = string | number | { readonly connectionId: number };

/** Returns the set with one more member. The result replaces the set. */
export function withMember<Member extends Small>(set: SmallSet<Member>, member: Member): SmallSet<Member> {
  if (set === undefined) return member;
  if (set instanceof Set) return set.add(member);
  return set === member ? set : new Set([set, member]);
}

/** Returns the set without a member. The result replaces the set. */
export function withoutMember<Member extends Small>(set: SmallSet<Member>, member: Member): SmallSet<Member> {
  if (!(set instanceof Set)) return set === member ? undefined : set;
  set.delete(member);
  return set.size === 0 ? undefined : set;
}

export function hasMember<Member extends Small>(set: SmallSet<Member>, member: Member): boolean {
  return set instanceof Set ? set.has(member) : set === member;
}

export function countMembers(set: SmallSet<Small>): number {
  if (set instanceof Set) return set.size;
  return set === undefined ? 0 : 1;
}

/** Returns the members in the order of their addition. */
export function membersOf<Member extends Small>(set: SmallSet<Member>): Iterable<Member> {
  if (set instanceof Set) return set;
  return set === undefined ? [] : [set];
}
