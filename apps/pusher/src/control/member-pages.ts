import type { ControlRequest, MemberNamesOfReply, MemberNamesReply, MembersReply } from "@fanwire/protocol";
import { sortInSlices } from "../pacing/sort-in-slices.ts";
import type { LocalMember } from "../presence/members.ts";
import type { Presence } from "../presence/presence.ts";
import { bytesOf } from "./describe-connection.ts";
import { FirstInOrder } from "./first-in-order.ts";

/** Default for the maximum number of members in one reply. */
const DEFAULT_LIMIT = 100;

/** Minimum bytes of a user in JSON: quotes, one letter, comma. */
const MIN_NAME_BYTES = 4;

/** Members that are visited within one step. */
const STEP = 256;

type Page = { readonly worker: string; readonly maxBytes: number };
type Members = Pick<Presence, "members">;

/** Returns a page of the members with connections to this worker, sorted by user. */
export function* membersPage(
  { topic, after, limit = DEFAULT_LIMIT }: Extract<ControlRequest, { command: "members" }>,
  presence: Members,
  { worker, maxBytes }: Page,
): Generator<unknown, MembersReply> {
  const first = new FirstInOrder<LocalMember>(limit + 1, (one, other) => (one.user < other.user ? -1 : 1));
  yield* visit(presence.members(topic), (member) => {
    if (isAfter(member.user, after)) first.add(member);
  });
  const wanted = first.take();
  const members = yield* within(wanted.slice(0, limit), maxBytes);
  return { worker, members, hasMore: members.length < wanted.length };
}

/** Returns a page of the users with connections to this worker, sorted. */
export function* namesPage(
  { topic, after }: Extract<ControlRequest, { command: "member-names" }>,
  presence: Members,
  { worker, maxBytes }: Page,
): Generator<unknown, MemberNamesReply> {
  const found: string[] = [];
  yield* visit(presence.members(topic), ({ user }) => {
    if (isAfter(user, after)) found.push(user);
  });
  const wanted = yield* sortInSlices(found, (one, other) => (one < other ? -1 : 1));
  const users = yield* within(wanted, maxBytes);
  return { worker, users, hasMore: users.length < wanted.length };
}

/** Returns the users with connections to this worker on the first of several topics, in no order. */
export function* namesOfTopics(
  { topics }: Extract<ControlRequest, { command: "member-names-of" }>,
  presence: Pick<Presence, "countMembers" | "members">,
  { worker, maxBytes }: Page,
): Generator<unknown, MemberNamesOfReply> {
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
    const { names, bytes } = isListed ? yield* namesOn(presence, topic, maxBytes) : NO_ROOM;
    room -= bytes + 1;
    if (room < 0 && users.length > 0) break;
    users.push(names);
    yield;
  }
  return { worker, users };
}

/** The names on a topic and their bytes in JSON. */
type Names = { readonly names: string[] | null; readonly bytes: number };

const NO_ROOM: Names = { names: null, bytes: bytesOf(null) };

function* namesOn(presence: Members, topic: string, maxBytes: number): Generator<unknown, Names> {
  const names: string[] = [];
  let bytes = bytesOf([]);
  for (const { user } of presence.members(topic)) {
    // Each name but the first has a comma.
    bytes += bytesOf(user) + (names.length > 0 ? 1 : 0);
    if (bytes > maxBytes) return NO_ROOM;
    names.push(user);
    if (names.length % STEP === 0) yield;
  }
  return { names, bytes };
}

function isAfter(user: string, after: string | undefined): boolean {
  return after === undefined || user > after;
}

function* visit(members: Iterable<LocalMember>, act: (member: LocalMember) => void): Generator<unknown, void> {
  let visited = 0;
  for (const member of members) {
    act(member);
    if (++visited % STEP === 0) yield;
  }
}

/**
 * Returns the first items for which there is room: at least one, because the caller could not get past it otherwise.
 */
function* within<Item>(items: readonly Item[], maxBytes: number): Generator<unknown, Item[]> {
  let room = maxBytes;
  const fitting: Item[] = [];
  for (const item of items) {
    room -= bytesOf(item) + 1;
    if (room < 0 && fitting.length > 0) break;
    fitting.push(item);
    if (fitting.length % STEP === 0) yield;
  }
  return fitting;
}
