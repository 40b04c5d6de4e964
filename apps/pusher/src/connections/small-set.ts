/**
 * A set that mostly has one member: then it is that member alone, where a `Set` would be 200 bytes. Undefined: empty. No
 * member is a `Set` or undefined itself.
 */
export type SmallSet<Member extends string | number> = Member | Set<Member> | undefined;

/** The set with one more member; to be kept in place of the one before. */
export function withMember<Member extends string | number>(few: SmallSet<Member>, member: Member): SmallSet<Member> {
  if (few === undefined) return member;
  if (few instanceof Set) return few.add(member);
  return few === member ? few : new Set([few, member]);
}

/** The set with one less; to be kept in place of the one before. */
export function withoutMember<Member extends string | number>(few: SmallSet<Member>, member: Member): SmallSet<Member> {
  if (!(few instanceof Set)) return few === member ? undefined : few;
  few.delete(member);
  return few.size === 0 ? undefined : few;
}

export function hasMember<Member extends string | number>(few: SmallSet<Member>, member: Member): boolean {
  return few instanceof Set ? few.has(member) : few === member;
}

export function countMembers(few: SmallSet<string | number>): number {
  if (few instanceof Set) return few.size;
  return few === undefined ? 0 : 1;
}

/** In the order in which they were added. */
export function membersOf<Member extends string | number>(few: SmallSet<Member>): Iterable<Member> {
  if (few instanceof Set) return few;
  return few === undefined ? [] : [few];
}
