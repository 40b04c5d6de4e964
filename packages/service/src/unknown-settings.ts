import { isServiceLink } from "./service-links.ts";

export type UnknownSetting = {
  readonly name: string;
  /** The known name that takes the fewest edits to reach. */
  readonly nearest: string;
};

/** Variables that begin like ours and belong to others or to our own tools. */
const FOREIGN = [
  // Laravel and other users of Pusher; `PUSHER_HOST` and `PUSHER_PORT` mean the same address to both.
  /^PUSHER_(APP_\w+|SCHEME|CLUSTER|URL|SOCKET_URL)$/,
  // The test suite, `npm start` and docker-compose.yml.
  /^FANWIRE_(TEST|CHAOS|RECOVERY)_\w+$/,
  /^FANWIRE_(DAMAGE_SEED|STOP_GRACE|BIND|NATS_SERVER|NATS_PORT)$/,
  /^FANWIRE_(PUSHER|PUBLISHER|CHANNEL|WEBHOOKS)_(BIND|PORT)$/,
];

/**
 * Returns the variables that have a prefix of a known one and that no service reads, in the order of `env`. Ignores empty
 * variables, which count as absent, and what Kubernetes and Laravel set.
 */
export function unknownSettings(
  env: Readonly<Record<string, string | undefined>>,
  known: readonly string[],
): UnknownSetting[] {
  const prefixes = new Set(known.map(prefixOf));
  return Object.entries(env).flatMap(([name, value = ""]) => {
    const isOurs = prefixes.has(prefixOf(name.toUpperCase())) && !known.includes(name);
    if (!isOurs || value === "" || isServiceLink(name, value) || FOREIGN.some((pattern) => pattern.test(name)))
      return [];
    return [{ name, nearest: nearestOf(name.toUpperCase(), known) }];
  });
}

/** `PUSHER_` of `PUSHER_TOKEN_SECRET`. */
function prefixOf(name: string): string {
  return name.slice(0, name.indexOf("_") + 1);
}

function nearestOf(name: string, known: readonly string[]): string {
  let nearest = { name: "", edits: Number.POSITIVE_INFINITY };
  for (const candidate of known) {
    const edits = countEdits(name, candidate);
    if (edits < nearest.edits) nearest = { name: candidate, edits };
  }
  return nearest.name;
}

/** Levenshtein's distance: insertions, deletions and replacements of one character that lead from `a` to `b`. */
function countEdits(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = at(previous, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, at(previous, column) + 1, at(current, column - 1) + 1));
    }
    previous = current;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
