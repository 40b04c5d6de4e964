/** A request that a person can repeat in a terminal. */
type Request = { readonly method: string; readonly url: string; readonly body?: unknown; readonly needsKey: boolean };

/**
 * Returns a curl command for a POSIX shell. The key is a variable, so that it is in no clipboard and no shell history.
 */
export function curlOf({ method, url, body, needsKey }: Request): string {
  const parts = ["curl", ...(method === "GET" || body !== undefined ? [] : ["-X", method]), quoted(url)];
  if (needsKey) parts.push("-H", '"Authorization: Bearer $FANWIRE_KEY"');
  if (body !== undefined)
    parts.push("-H", quoted("Content-Type: application/json"), "-d", quoted(JSON.stringify(body)));
  return parts.join(" ");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
