import { type PusherApp, topicOf } from "@fanwire/pusher-protocol";
import type { Cluster } from "../../cluster/cluster-client.ts";
import type { Failure } from "../../cluster/failure.ts";
import { ApiError } from "../../http/errors.ts";

/** Questions about members that run at the same time. */
const CONCURRENT = 8;
/** Maximum characters of all user ids in one reply, which the publisher holds in memory. */
const MAX_REPLY = 16_777_216;

const WORKER_TIMEOUT: Failure = { ok: false, reason: "worker-timeout" };

/**
 * Returns the distinct users on a presence channel, sorted.
 *
 * @returns a failure if some worker has not answered, because users would be missing.
 */
export async function usersOf(
  cluster: Cluster,
  app: PusherApp,
  channel: string,
): Promise<{ readonly ok: true; readonly users: readonly string[] } | Failure> {
  const users: string[] = [];
  let length = 0;
  let after: string | undefined;
  do {
    const page = await cluster.memberNames(topicOf(app, channel), after);
    if (!page.ok) return page;
    if (page.complete === false) return WORKER_TIMEOUT;
    for (const user of page.users) {
      users.push(user);
      length += user.length;
    }
    if (length > MAX_REPLY) {
      throw new ApiError("invalid_pusher_request", { message: "The channel has too many users for one reply." });
    }
    after = page.next;
  } while (after !== undefined);
  return { ok: true, users: users.sort() };
}

/** Counts the distinct users on each presence channel, in the order of `channels`. */
export async function countUsers(
  cluster: Cluster,
  app: PusherApp,
  channels: readonly string[],
): Promise<{ readonly ok: true; readonly counts: readonly number[] } | Failure> {
  const counts: number[] = [];
  for (let at = 0; at < channels.length; at += CONCURRENT) {
    const some = channels.slice(at, at + CONCURRENT);
    const answers = await Promise.all(some.map((channel) => cluster.countMembers(topicOf(app, channel))));
    for (const answer of answers) {
      if (!answer.ok) return answer;
      if (answer.complete === false) return WORKER_TIMEOUT;
      counts.push(answer.members);
    }
  }
  return { ok: true, counts };
}
