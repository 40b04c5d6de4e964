/** Topics of a Pusher app with a namespace begin with this, the namespace and a slash. */
export const NAMESPACE_PREFIX = "app/";

/** All of it lies in the first token of a topic, because it holds no dot. */
const RESTRICTED = /^(?:app\/[A-Za-z0-9_-]+\/)?(?:private|presence)-/;
const ALL_OF_A_KIND = /^(?:app\/[A-Za-z0-9_-]+\/)?(?:private|presence)-\*$/;

/**
 * Whether a topic or pattern is restricted: `private-…` and `presence-…`, also in the namespace of a Pusher app.
 * Wildcards in the first token never match restricted topics. These have a subject branch of their own, so that no
 * pattern includes them by mistake.
 */
export function isRestricted(pattern: string): boolean {
  return RESTRICTED.test(pattern);
}

/** Whether an entry of a token, such as `private-*`, allows all restricted topics that begin like it. */
export function isRestrictedPrefix(entry: string): boolean {
  return ALL_OF_A_KIND.test(entry);
}
