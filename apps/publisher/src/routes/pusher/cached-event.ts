import { isUtf8 } from "node:buffer";
import { CACHE_SECONDS, type PusherApp, topicOf } from "@fanwire/pusher-protocol";
import type { Failure } from "../../cluster/failure.ts";
import type { ApiParts } from "../../http/api.ts";

/** The last event of a cache channel in a reply; null if there is none. */
type CachedEvent = { readonly data: string; readonly ttl: number } | null;

/** Reads the last event of a cache channel, which is the last durable publication of its topic. */
export async function readCachedEvent(
  { history, subjects }: Pick<ApiParts, "history" | "subjects">,
  app: PusherApp,
  channel: string,
): Promise<{ readonly ok: true; readonly cache: CachedEvent } | Failure> {
  const last = await history.last(subjects.history({ kind: "topic", topic: topicOf(app, channel) }));
  // Without JetStream no channel has a last event.
  if (!last.ok) return last.reason === "no-jetstream" ? { ok: true, cache: null } : last;
  if (last.publication === undefined) return { ok: true, cache: null };
  const { content, time } = last.publication;
  const ageSeconds = Math.max(0, Date.now() - time.getTime()) / 1_000;
  // The Pusher protocol has text only.
  if (ageSeconds >= CACHE_SECONDS || !isUtf8(content)) return { ok: true, cache: null };
  return { ok: true, cache: { data: Buffer.from(content).toString(), ttl: Math.ceil(CACHE_SECONDS - ageSeconds) } };
}
