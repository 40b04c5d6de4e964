import { signal } from "@preact/signals";

export const tabs = ["try", "overview", "connections", "users", "topics", "trace"] as const;
export type Tab = (typeof tabs)[number];

/** The place in the page: `#<tab>/<name>?<parameters>`. */
export type Route = {
  readonly tab: Tab;
  /** The connection, user or topic whose details are shown. */
  readonly name: string | undefined;
  readonly query: Readonly<Record<string, string>>;
};

/** Returns the first tab for a fragment that names none. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const [tab = "", name] = path.split("/", 2);
  return {
    tab: tabs.find((each) => each === tab) ?? "try",
    name: name === undefined || name === "" ? undefined : decoded(name),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

export function routeHash(tab: Tab, name?: string, query: Readonly<Record<string, string>> = {}): string {
  const text = new URLSearchParams(query).toString();
  return `#${tab}${name === undefined ? "" : `/${encodeURIComponent(name)}`}${text === "" ? "" : `?${text}`}`;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The route of the page's address. */
export class Router {
  readonly route = signal<Route>(parseRoute(location.hash));

  constructor() {
    addEventListener("hashchange", () => {
      this.route.value = parseRoute(location.hash);
    });
  }

  /** Changes the parameters of the shown place, without an entry in the browser's history. */
  change(query: Readonly<Record<string, string>>): void {
    const { tab, name, query: before } = this.route.peek();
    const given = Object.entries({ ...before, ...query }).filter(([, value]) => value !== "");
    const hash = routeHash(tab, name, Object.fromEntries(given));
    history.replaceState(null, "", hash);
    this.route.value = parseRoute(hash);
  }

  go(tab: Tab, name?: string, query?: Readonly<Record<string, string>>): void {
    location.hash = routeHash(tab, name, query);
  }
}
