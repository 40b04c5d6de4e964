/** A topic that may be occupied, or a user who may be a member of a topic, as one string for sets. */
export type Key = string;

export type ParsedKey = { readonly topic: string; readonly user?: string };

export function topicKey(topic: string): Key {
  return `t${topic}`;
}

/** The length of the topic separates it from the user, because both may have any character. */
export function memberKey(topic: string, user: string): Key {
  return `m${topic.length}:${topic}${user}`;
}

export function parseKey(key: Key): ParsedKey {
  if (key.startsWith("t")) return { topic: key.slice(1) };
  const colon = key.indexOf(":");
  const begin = colon + 1;
  const end = begin + Number(key.slice(1, colon));
  return { topic: key.slice(begin, end), user: key.slice(end) };
}
