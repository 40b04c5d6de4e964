import type { TopicsReply } from "@fanwire/protocol";

export type TopicPage = {
  /** Occupied topics, sorted, each with its subscribed connections on all workers that answered. */
  readonly topics: readonly (readonly [topic: string, connections: number])[];
  /** Topic after which the next page begins; absent on the last page. */
  readonly next?: string;
};

/**
 * Combines the replies of all workers to one page. It ends where the first worker's own page ends before that worker's last
 * topic, because the counts of later topics are incomplete.
 */
export function topicPageOf(replies: readonly Omit<TopicsReply, "worker">[], limit: number): TopicPage {
  const ends = replies.flatMap(({ topics, hasMore }) => (hasMore ? (topics.at(-1)?.[0] ?? []) : []));
  const end = ends.reduce<string | undefined>(
    (first, each) => (first === undefined || each < first ? each : first),
    undefined,
  );
  const counts = new Map<string, number>();
  for (const { topics } of replies) {
    for (const [topic, connections] of topics) {
      if (end === undefined || topic <= end) counts.set(topic, (counts.get(topic) ?? 0) + connections);
    }
  }
  const sorted = [...counts].sort(([one], [other]) => (one < other ? -1 : 1));
  const topics = sorted.slice(0, limit);
  const last = topics.at(-1);
  const isLast = end === undefined && topics.length === sorted.length;
  return { topics, ...(!isLast && last && { next: last[0] }) };
}
