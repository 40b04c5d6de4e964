/** Rights of an API key: `full` allows everything, `read` allows reads. */
export type KeyScope = "full" | "read";

/** An entry of the setting with this prefix is a key that only reads. */
const READ_PREFIX = "read:";

/** Returns the key and the scope of one entry of the setting. */
export function parseKeyEntry(entry: string): { readonly key: string; readonly scope: KeyScope } {
  if (!entry.startsWith(READ_PREFIX)) return { key: entry, scope: "full" };
  return { key: entry.slice(READ_PREFIX.length), scope: "read" };
}

/** Whether some key is listed with both scopes. */
export function hasAmbiguousKey(entries: readonly string[]): boolean {
  const keys = entries.map(parseKeyEntry);
  return keys.some(
    ({ key, scope }) => scope === "read" && keys.some((other) => other.key === key && other.scope === "full"),
  );
}
