import { setImmediate as nextTick } from "node:timers/promises";
import type { ControlRequest, TopicsReply } from "@fanwire/protocol";

type Request = Omit<Extract<ControlRequest, { command: "list-topics" }>, "command">;
type Page = Omit<TopicsReply, "worker">;
type Entry = TopicsReply["topics"][number];
/** Fields of a shared subscription that the list reads. */
type Listed = { readonly isExact: boolean; readonly pattern: string | undefined; readonly subscribers: number };

/** Maximum milliseconds for which the scan blocks the event loop. */
const SLICE_MS = 5;
const CHECK_EVERY = 256;
/** Maximum number of topics in one page, because a page is sorted within one tick. */
const MAX_LIMIT = 2_500;

/**
 * Returns a page of the topics to which connections are subscribed. Scans over several ticks. A topic that is occupied
 * throughout the scan is in the page.
 *
 * @param subscriptions are scanned as a live `Map`: those that are added during the scan come last.
 * @param maxBytes of the page as JSON.
 */
export async function listTopics(
  subscriptions: { readonly size: number; all(): Iterable<Listed> },
  { prefix = "", after = "", limit }: Request,
  maxBytes: number,
): Promise<Page> {
  const page = new SmallestTopics(Math.min(limit, MAX_LIMIT) + 1);
  let endsAt = performance.now() + SLICE_MS;
  // Subscriptions that begin during the scan must not prolong it.
  let left = subscriptions.size;
  for (const { isExact, pattern: topic, subscribers } of subscriptions.all()) {
    if (left-- === 0) break;
    if (isExact && topic !== undefined && topic > after && topic.startsWith(prefix)) page.add([topic, subscribers]);
    if (left % CHECK_EVERY !== 0 || performance.now() < endsAt) continue;
    await nextTick();
    endsAt = performance.now() + SLICE_MS;
  }
  await nextTick();
  const found = page.take();
  await nextTick();
  return within(maxBytes, found, Math.min(limit, MAX_LIMIT));
}

function within(maxBytes: number, found: readonly Entry[], limit: number): Page {
  let room = maxBytes;
  const topics: Entry[] = [];
  for (const entry of found.slice(0, limit)) {
    room -= Buffer.byteLength(JSON.stringify(entry)) + 1;
    // A page has at least one topic, because the caller could not get past it otherwise.
    if (room < 0 && topics.length > 0) break;
    topics.push(entry);
  }
  return { topics, hasMore: topics.length < found.length };
}

/** Collects the first topics in sort order, of any number that are added. */
class SmallestTopics {
  readonly #count: number;
  #entries: Entry[] = [];
  /** Topics from here on are not among the first. */
  #end: string | undefined;

  constructor(count: number) {
    this.#count = count;
  }

  add(entry: Entry): void {
    if (this.#end !== undefined && entry[0] >= this.#end) return;
    this.#entries.push(entry);
    if (this.#entries.length < 2 * this.#count) return;
    this.#entries = this.take();
    this.#end = this.#entries.length < this.#count ? undefined : this.#entries.at(-1)?.[0];
  }

  /** Returns them sorted. A topic that was vacated and occupied again during the scan may have been added twice. */
  take(): Entry[] {
    const sorted = this.#entries.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
    return sorted.filter(([topic], at) => topic !== sorted[at - 1]?.[0]).slice(0, this.#count);
  }
}
