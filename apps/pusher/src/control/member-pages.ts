import type { ControlRequest, MemberNamesOfReply, MemberNamesReply, MembersReply } from "@fanwire/protocol";
import type { Presence } from "../presence/presence.ts";

/** Default for the maximum number of members in one reply. */
const DEFAULT_LIMIT = 100;

/** Minimum bytes of a user in JSON: quotes, one letter, comma. */
const MIN_NAME_BYTES = 4;

type Page = { readonly worker: string; readonly maxBytes: number };
type Members = Pick<Presence, "members">;

/** Returns a page of the members with connections to this worker, sorted by user. */
export function membersPage(
  { topic, after, limit = DEFAULT_LIMIT }: Extract<ControlRequest, { command: "members" }>,
  presence: Members,
  { worker, maxBytes }: Page,
): MembersReply {
  const wanted = membersAfter(presence, topic, after);
  const members = within(wanted.slice(0, limit), maxBytes);
  return { worker, members, hasMore: members.length < wanted.length };
}

/** Returns a page of the users with connections to this worker, sorted. */
export function namesPage(
  { topic, after }: Extract<ControlRequest, { command: "member-names" }>,
  presence: Members,
  { worker, maxBytes }: Page,
): MemberNamesReply {
  const wanted = membersAfter(presence, topic, after).map(({ user }) => user);
  const users = within(wanted, maxBytes);
  return { worker, users, hasMore: users.length < wanted.length };
}

/** Returns the users with connections to this worker on the first of several topics. */
export function namesOfTopics(
  { topics }: Extract<ControlRequest, { command: "member-names-of" }>,
  presence: Pick<Presence, "countMembers" | "members">,
  { worker, maxBytes }: Page,
): MemberNamesOfReply {
  const maxNames = maxBytes / MIN_NAME_BYTES;
  const users: (string[] | null)[] = [];
  let room = maxBytes;
  // Also bounds the work for names that turn out not to fit.
  let listable = maxNames;
  for (const topic of topics) {
    const count = presence.countMembers(topic);
    const isListed = count <= maxNames;
    if (isListed) listable -= count;
    if (listable < 0 && users.length > 0) break;
    const names = isListed ? namesOn(presence, topic, maxBytes) : null;
    room -= bytesOf(names) + 1;
    if (room < 0 && users.length > 0) break;
    users.push(names);
  }
  return { worker, users };
}

function namesOn(presence: Members, topic: string, maxBytes: number): string[] | null {
  const names = presence.members(topic).map(({ user }) => user);
  return bytesOf(names) > maxBytes ? null : names;
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function membersAfter(presence: Members, topic: string, after: string | undefined) {
  const all = presence.members(topic);
  return after === undefined ? all : all.filter(({ user }) => user > after);
}

/**
 * Returns the first items for which there is room: at least one, because the caller could not get past it otherwise.
 */
function within<Item>(items: readonly Item[], maxBytes: number): Item[] {
  let room = maxBytes;
  const fitting: Item[] = [];
  for (const item of items) {
    room -= bytesOf(item) + 1;
    if (room < 0 && fitting.length > 0) break;
    fitting.push(item);
  }
  return fitting;
}
