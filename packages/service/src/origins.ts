const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/**
 * Returns whether a request of a page of `origin` is allowed. An allowed origin is literal, or has `*` as the first
 * label of its host (any subdomain, but not the domain itself), or is `*`. Requests without an origin are not from
 * browsers, so they are allowed.
 */
export function isAllowedOrigin(origin: string, allowed: readonly string[]): boolean {
  return origin === "" || allowed.some((pattern) => matches(origin.toLowerCase(), pattern.toLowerCase()));
}

function matches(origin: string, pattern: string): boolean {
  if (pattern === "*" || origin === pattern) return true;

  const [scheme, domain] = pattern.split("//*.");
  if (scheme === undefined || domain === undefined) return false;
  const start = `${scheme}//`;
  const end = `.${domain}`;
  if (!origin.startsWith(start) || !origin.endsWith(end)) return false;
  return LABELS.test(origin.slice(start.length, -end.length));
}
