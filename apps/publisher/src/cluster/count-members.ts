import type { MemberNamesOfReply } from "@fanwire/protocol";
import type { Failure } from "./failure.ts";

/** Number of users on each topic, or undefined for topics that must be counted alone. */
type Counts = readonly (number | undefined)[];

/** Maximum bytes of the topics in one request. */
const MAX_TOPIC_BYTES = 16_384;

/** Returns the first of `topics` that one request has room for, at least one of them. */
export function firstTopics(topics: readonly string[]): string[] {
  let room = MAX_TOPIC_BYTES;
  const first: string[] = [];
  for (const topic of topics) {
    room -= Buffer.byteLength(topic);
    if (room < 0 && first.length > 0) break;
    first.push(topic);
  }
  return first;
}

/**
 * Counts the distinct users on the topics that all workers have answered for, which are the first ones of the `asked`
 * topics of the request. A user with connections to several workers counts once.
 */
export function countsOf(replies: readonly Pick<MemberNamesOfReply, "users">[], asked: number): Counts {
  const answered = Math.min(asked, ...replies.map(({ users }) => users.length));
  return Array.from({ length: answered }, (_, at) => {
    const users = new Set<string>();
    for (const reply of replies) {
      const names = reply.users[at];
      if (!names) return undefined;
      for (const name of names) users.add(name);
    }
    return users.size;
  });
}

type CountPage = { readonly ok: true; readonly counts: Counts; readonly isComplete: boolean } | Failure;
type CountOne = { readonly ok: true; readonly members: number; readonly complete?: false } | Failure;
type Questions = {
  /** Asks all workers for the users on the first of some topics. */
  ask(topics: readonly string[]): Promise<CountPage>;
  /** Counts the users on one topic, of any number. */
  countOne(topic: string): Promise<CountOne>;
};

/**
 * Counts the users on each topic with few questions.
 *
 * @returns `worker-timeout` if some worker has not answered, because counts would be too low.
 */
export async function countMembersOf(
  topics: readonly string[],
  { ask, countOne }: Questions,
): Promise<{ readonly ok: true; readonly counts: readonly number[] } | Failure> {
  const counts: number[] = [];
  while (counts.length < topics.length) {
    const page = await ask(firstTopics(topics.slice(counts.length)));
    if (!page.ok) return page;
    if (!page.isComplete || page.counts.length === 0) return { ok: false, reason: "worker-timeout" };
    for (const count of page.counts) {
      const counted =
        count === undefined ? await countOne(topics[counts.length] ?? "") : { ok: true as const, members: count };
      if (!counted.ok) return counted;
      if ("complete" in counted && counted.complete === false) return { ok: false, reason: "worker-timeout" };
      counts.push(counted.members);
    }
  }
  return { ok: true, counts };
}
