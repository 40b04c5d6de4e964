/** A metric of a query, with the labels of its matchers. */
type Selector = { readonly metric: string; readonly labels: readonly string[] };

type Query = {
  readonly selectors: readonly Selector[];
  /** Labels by which the query groups or joins. */
  readonly grouping: readonly string[];
};

const TOKEN = /"(?:\\.|[^"\\])*"|[A-Za-z_:][\w:]*|\d[\w.]*|[{}()[\],]|[=!<>~]+|[-+*/%^]/g;
const LISTS: ReadonlySet<string> = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);
const WORDS: ReadonlySet<string> = new Set(["and", "or", "unless", "bool", "offset"]);

/** Returns the metrics and labels that a PromQL expression names. Must be valid: Prometheus checks that. */
export function namesIn(expression: string): Query {
  const tokens = expression.match(TOKEN) ?? [];
  const selectors: Selector[] = [];
  const grouping: string[] = [];
  let at = 0;

  /** Takes the tokens up to a closing one, and returns those that are names. */
  const namesUpTo = (end: string): string[] => {
    const from = at;
    while (at < tokens.length && tokens[at] !== end) at++;
    return tokens.slice(from, at++).filter((token) => /^[A-Za-z_]/.test(token));
  };
  while (at < tokens.length) {
    const token = tokens[at++] ?? "";
    const next = tokens[at] ?? "";
    if (token === "[") namesUpTo("]");
    if (!/^[A-Za-z_:]/.test(token) || WORDS.has(token)) continue;
    if (LISTS.has(token)) {
      if (next === "(") grouping.push(...namesUpTo(")"));
    } else if (next === "{") {
      selectors.push({ metric: token, labels: namesUpTo("}") });
    } else if (next !== "(" && !LISTS.has(next)) {
      selectors.push({ metric: token, labels: [] });
    }
  }
  return { selectors, grouping };
}
