const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/**
 * Whether a browser page from `origin` may connect. An allowed origin is literal, or has `*` as the first label of its
 * host (any subdomain, not the domain itself), or is `*`. No origin: not a browser, so there is no user to protect.
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
