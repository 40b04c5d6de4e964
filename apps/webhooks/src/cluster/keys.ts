/** A topic that may be occupied, a user who may be a member of it, or a topic's count, as one string for sets. */
export type Key = string;

export type ParsedKey = { readonly topic: string; readonly user?: string };

export function topicKey(topic: string): Key {
  return `t${topic}`;
}

/** The length of the topic separates it from the user, because both may have any character. */
export function memberKey(topic: string, user: string): Key {
  return `m${topic.length}:${topic}${user}`;
}

export function countKey(topic: string): Key {
  return `c${topic}`;
}

export function isCountKey(key: Key): boolean {
  return key.startsWith("c");
}

export function parseKey(key: Key): ParsedKey {
  if (key.startsWith("t") || isCountKey(key)) return { topic: key.slice(1) };
  const colon = key.indexOf(":");
  const begin = colon + 1;
  const end = begin + Number(key.slice(1, colon));
  return { topic: key.slice(begin, end), user: key.slice(end) };
}
