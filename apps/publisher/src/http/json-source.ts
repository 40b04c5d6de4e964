/** The text of a JSON value, as the caller wrote it. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /[^ \t\n\r,\]}]+/y;

/**
 * Returns the text of one member of an object, or of each object in an array: numbers keep all their digits. Undefined
 * for what has no such member. The last one counts if it is repeated, as with `JSON.parse`.
 *
 * @param json valid JSON.
 */
export function memberSources(json: string, name: string): (string | undefined)[] {
  const start = skip(SPACE, json, 0);
  if (json[start] !== "[") return [memberSource(json, start, name)];
  const sources: (string | undefined)[] = [];
  let at = skip(SPACE, json, start + 1);
  while (json[at] !== "]") {
    sources.push(memberSource(json, at, name));
    at = skip(SPACE, json, endOfValue(json, at));
    if (json[at] === ",") at = skip(SPACE, json, at + 1);
  }
  return sources;
}

function memberSource(json: string, start: number, name: string): string | undefined {
  if (json[start] !== "{") return undefined;
  let source: string | undefined;
  let at = skip(SPACE, json, start + 1);
  while (json[at] !== "}") {
    const endOfKey = endOfString(json, at);
    const isWanted = isKey(json.slice(at, endOfKey), name);
    // Behind the colon.
    const value = skip(SPACE, json, skip(SPACE, json, endOfKey) + 1);
    const end = endOfValue(json, value);
    if (isWanted) source = json.slice(value, end);
    at = skip(SPACE, json, end);
    if (json[at] === ",") at = skip(SPACE, json, at + 1);
  }
  return source;
}

function isKey(source: string, name: string): boolean {
  return source === `"${name}"` || (source.includes("\\") && JSON.parse(source) === name);
}

function endOfValue(json: string, start: number): number {
  const first = json[start];
  if (first === '"') return endOfString(json, start);
  if (first !== "{" && first !== "[") return skip(SCALAR, json, start);
  let depth = 0;
  for (let at = start; ; at++) {
    const character = json[at];
    if (character === '"') at = endOfString(json, at) - 1;
    else if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") {
      depth--;
      if (depth === 0) return at + 1;
    }
  }
}

/** Returns the index behind the closing quotation mark. */
function endOfString(json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1); ; at = json.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (json[at - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return at + 1;
  }
}

function skip(pattern: RegExp, json: string, at: number): number {
  pattern.lastIndex = at;
  pattern.test(json);
  return Math.max(at, pattern.lastIndex);
}
