import type { Connection } from "../api/types.ts";
import { routeHash } from "../store/route.ts";
import { count } from "../ui/format.ts";

/** A connection may have thousands of topics. */
const MAX_SHOWN = 200;

type SubscriptionsProps = {
  readonly connection: Connection;
  /** Undefined if the key may only read. */
  readonly onUnsubscribe: ((topic: string) => void) | undefined;
};

export function Subscriptions({ connection: { topics, omittedTopics = 0 }, onUnsubscribe }: SubscriptionsProps) {
  const hidden = Math.max(topics.length - MAX_SHOWN, 0) + omittedTopics;
  if (topics.length === 0) return <p class="hint">It has no topics. Publications to everyone reach it.</p>;
  return (
    <>
      <ul class="chips" aria-label="Subscriptions">
        {topics.slice(0, MAX_SHOWN).map((topic) => (
          <li key={topic}>
            <TopicName topic={topic} />
            {onUnsubscribe !== undefined && (
              <button type="button" aria-label={`Unsubscribe from ${topic}`} onClick={() => onUnsubscribe(topic)}>
                ×
              </button>
            )}
          </li>
        ))}
      </ul>
      {hidden > 0 && <p class="hint">{count(hidden)} more are not shown.</p>}
    </>
  );
}

/** A pattern is no topic, so it has no details. */
function TopicName({ topic }: { readonly topic: string }) {
  const isPattern = topic.split(".").some((token) => token === "*" || token === ">");
  return isPattern ? <code>{topic}</code> : <a href={routeHash("topics", topic)}>{topic}</a>;
}
