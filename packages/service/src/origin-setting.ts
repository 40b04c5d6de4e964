/** Placeholder for `*.` in a host, so that `URL` can parse the rest. */
const STAND_IN = "any-subdomain.";
/** `*` without a domain behind it. */
const EMPTY_DOMAIN = /\/\/\*\.(?:[:/?#]|$)/;
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;
/** Schemes that `URL` normalizes. Origins of other schemes, such as `capacitor://`, are compared as written. */
const WEB = /^https?:\/\//i;

/**
 * Returns what is wrong with an entry of the list of allowed origins, and what to write instead. Returns `undefined`
 * for an origin as browsers send it, for one with `*` as the first label of its host, for `*` and for `null`.
 */
export function originProblem(entry: string): string | undefined {
  if (entry === "*" || entry === "null") return undefined;
  if (/[;\s]/.test(entry)) return `separate origins by commas, not as in ${shown(entry)}`;
  if (/["'`[\]]/.test(entry) && !/\/\/\[[0-9a-f:.]+\]/i.test(entry))
    return `write ${shown(entry)} without quotes or brackets`;
  if (!SCHEME.test(entry)) return withoutScheme(entry);
  if (/^wss?:/i.test(entry)) return `write ${entry.replace(/^ws/i, "http")}: a page's origin is never ws or wss`;
  return WEB.test(entry) ? webOriginProblem(entry) : otherOriginProblem(entry);
}

function withoutScheme(entry: string): string {
  const host = entry.replace(/^[a-z]*:?\/*/i, (start) => (start.includes("/") ? "" : start));
  const suggestion = URL.canParse(standIn(`https://${host}`)) ? normalized(`https://${host}`) : "https://app.example";
  return `write ${suggestion}: ${shown(entry)} has no scheme`;
}

function webOriginProblem(entry: string): string | undefined {
  if (
    entry
      .toLowerCase()
      .replace(/^https?:\/\/\*\./, "")
      .includes("*")
  ) {
    return `${shown(entry)}: * may only be the first label of the host, as in https://*.app.example`;
  }
  if (!URL.canParse(standIn(entry)) || EMPTY_DOMAIN.test(entry))
    return `${shown(entry)} is no origin; write one such as https://app.example:8443`;
  const origin = normalized(entry);
  return origin === entry.toLowerCase()
    ? undefined
    : `write ${origin}, as browsers send it, instead of ${shown(entry)}`;
}

function otherOriginProblem(entry: string): string | undefined {
  const bare = /^[^/]+\/\/[^/?#]*/.exec(entry)?.[0] ?? entry;
  return bare === entry ? undefined : `write ${bare} instead of ${shown(entry)}`;
}

/** Returns the origin as browsers write it: no path, no user, no default port, the host in ASCII. */
function normalized(entry: string): string {
  return new URL(standIn(entry)).origin.replace(STAND_IN, "*.");
}

function standIn(entry: string): string {
  return entry.replace("//*.", `//${STAND_IN}`);
}

/** Removes user and password, which must not reach a log. */
function shown(entry: string): string {
  return entry.replace(/\/\/[^/]*@/, "//…@");
}
