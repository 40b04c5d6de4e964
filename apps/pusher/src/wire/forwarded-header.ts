/** Maximum proxies between a client and this one. */
const MAX_HOPS = 32;

/**
 * Returns the entries of `X-Forwarded-For`, the nearest first, at most {@link MAX_HOPS}. Several lines are one list. An
 * entry may be any text, because clients may send the header too.
 */
export function forwardedForEntries(lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const list = lines.join(",");
  const entries: string[] = [];
  for (let end = list.length; entries.length < MAX_HOPS; ) {
    const comma = end === 0 ? -1 : list.lastIndexOf(",", end - 1);
    entries.push(list.slice(comma + 1, end).trim());
    if (comma === -1) break;
    end = comma;
  }
  return entries;
}

/**
 * Does the same for `Forwarded` (RFC 7239). An element without `for` is an empty entry. So is a line whose quotation
 * marks do not match, because a client could use one to hide what a proxy adds.
 */
export function forwardedEntries(lines: readonly string[]): string[] {
  const elements = lines.flatMap((line) => splitOutsideQuotes(line, ",") ?? [""]);
  return elements.slice(-MAX_HOPS).reverse().map(forIn);
}

function forIn(element: string): string {
  for (const pair of splitOutsideQuotes(element, ";") ?? []) {
    const [, value] = /^\s*for\s*=\s*(.*)$/is.exec(pair) ?? [];
    if (value !== undefined) return unquoted(value.trim());
  }
  return "";
}

/** Returns undefined if a quotation mark does not match. */
function splitOutsideQuotes(text: string, separator: string): string[] | undefined {
  const parts: string[] = [];
  let isQuoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (isQuoted && character === "\\") at++;
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === separator && !isQuoted) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return isQuoted ? undefined : [...parts, text.slice(start)];
}

function unquoted(value: string): string {
  if (!/^".*"$/s.test(value)) return value;
  return value.slice(1, -1).replace(/\\(.)/gs, "$1");
}

/** Returns the address in an entry: without a port, brackets and a zone. The text may be no address. */
export function addressInEntry(entry: string): string {
  const [, bracketed] = /^\[([^\]]*)\](?::[0-9]{1,5})?$/.exec(entry) ?? [];
  const [, withPort] = /^([0-9.]+):[0-9]{1,5}$/.exec(entry) ?? [];
  return (bracketed ?? withPort ?? entry).replace(/%.*$/, "");
}
