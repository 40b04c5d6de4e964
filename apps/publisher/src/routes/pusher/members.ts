import { type PusherApp, topicOf } from "@fanwire/pusher-protocol";
import type { Cluster } from "../../cluster/cluster-client.ts";
import type { Failure } from "../../cluster/failure.ts";
import { ApiError } from "../../http/errors.ts";

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
