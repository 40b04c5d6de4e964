/** The target of a request to the Pusher HTTP API. */
export type PusherTarget = {
  /** Path for the choice of a route, without names. */
  readonly route: string;
  /** From `/apps` on, as received. This is what SDKs sign. */
  readonly path: string;
  /** Without the question mark, as received. */
  readonly query: string;
  /** Absent in requests of the Python SDK about users, which names no app in the path. */
  readonly appId: string | undefined;
  /** Channel or user id, as received; empty if the route has none. */
  readonly name: string;
};

const APPS = "/apps/";
const USERS = "/users/";
const RESOURCES: ReadonlySet<string> = new Set(["events", "batch_events", "channels"]);
/** Scheme and host, which proxies may send in front of the path. */
const ORIGIN = /^https?:\/\/[^/?#]*/i;
const TERMINATE = "/terminate_connections";

/**
 * Reads a target; returns undefined if no route of the Pusher HTTP API has it. A deployment prefix may precede the
 * path.
 */
export function pusherTarget(received: string): PusherTarget | undefined {
  const target = received.startsWith("/") ? received : received.replace(ORIGIN, "");
  // Names in the paths of the other routes may look like a path of this API.
  if (target.startsWith("/v1/")) return undefined;
  for (let at = target.indexOf(APPS); at >= 0; at = target.indexOf(APPS, at + 1)) {
    if (isInQuery(target, at)) break;
    const found = readApp(target.slice(at));
    if (found !== undefined) return found;
  }
  const at = target.indexOf(USERS);
  return at < 0 || isInQuery(target, at) ? undefined : readUser(target.slice(at), 0, undefined);
}

function isInQuery(target: string, at: number): boolean {
  const question = target.indexOf("?");
  return question >= 0 && question < at;
}

/** @param text begins with `/apps/`. */
function readApp(text: string): PusherTarget | undefined {
  const slash = text.indexOf("/", APPS.length);
  const appId = text.slice(APPS.length, slash);
  if (slash < 0 || appId === "" || appId.includes("?")) return undefined;
  if (text.startsWith(USERS, slash)) return readUser(text, slash, appId);
  const { path, query } = split(text, text.indexOf("?"));
  const [resource = "", ...names] = path.slice(slash + 1).split("/");
  const route = routeOf(resource, names);
  return route === undefined ? undefined : { route: `/apps/-/${route}`, path, query, appId, name: names[0] ?? "" };
}

function routeOf(resource: string, [name, last, ...others]: readonly string[]): string | undefined {
  if (name === undefined) return RESOURCES.has(resource) ? resource : undefined;
  if (resource !== "channels" || name === "" || others.length > 0) return undefined;
  if (last === undefined) return "channels/-";
  return last === "users" ? "channels/-/users" : undefined;
}

/** A user id may contain slashes and question marks, because the SDKs do not escape it. */
function readUser(text: string, start: number, appId: string | undefined): PusherTarget | undefined {
  const from = start + USERS.length;
  for (let at = text.indexOf(TERMINATE, from + 1); at >= 0; at = text.indexOf(TERMINATE, at + 1)) {
    const end = at + TERMINATE.length;
    if (end < text.length && text[end] !== "?") continue;
    const route = `${appId === undefined ? "" : "/apps/-"}/users/-${TERMINATE}`;
    return { route, ...split(text, end < text.length ? end : -1), appId, name: text.slice(from, at) };
  }
  return undefined;
}

function split(text: string, question: number): Pick<PusherTarget, "path" | "query"> {
  if (question < 0) return { path: text, query: "" };
  return { path: text.slice(0, question), query: text.slice(question + 1) };
}
