/** One parameter of a query. */
export type Parameter = {
  /** A name that is not UTF-8 is empty. */
  readonly name: string;
  /** `undefined`: its bytes are not UTF-8. */
  readonly value: string | undefined;
};

/**
 * Stands for bytes that are not UTF-8 in what uWebSockets.js hands on. A client that means the character itself escapes
 * it.
 */
const REPLACEMENT = "\uFFFD";
const STRAY_PERCENT = /%(?![0-9A-Fa-f]{2})/g;

/** Reads a query as `URLSearchParams` does, which silently replaces bytes that are not UTF-8. */
export function parseQuery(query: string): Parameter[] {
  const parameters: Parameter[] = [];
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = decode(equals === -1 ? part : part.slice(0, equals)) ?? "";
    parameters.push({ name, value: equals === -1 ? "" : decode(part.slice(equals + 1)) });
  }
  return parameters;
}

function decode(text: string): string | undefined {
  if (text.includes(REPLACEMENT)) return undefined;
  const spaced = text.replaceAll("+", " ");
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced.replaceAll(STRAY_PERCENT, "%25"));
  } catch {
    return undefined;
  }
}
