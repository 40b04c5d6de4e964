import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { ApiError } from "./errors.ts";

type Head = Pick<IncomingMessage, "headers">;

/**
 * Refuses requests that pages of other sites send to a publisher without keys through a browser that reaches it. Such a
 * page sends a cross-site request, or has given its host name the address of the publisher. Other clients are not
 * affected.
 */
export const refuseForeignRequests: MiddlewareHandler<{ Bindings: HttpBindings }> = (c, next) => {
  const { incoming } = c.env;
  if (isForeignHost(incoming) || isCrossSite(incoming)) throw new ApiError("foreign_request");
  return next();
};

/** Most requests have the host of the one before them, and parsing it costs more than all other checks of a request. */
let last = { host: "", isForeign: false };

/**
 * Whether another site may own the host name. IP addresses and names of one label cannot be registered, so they are not
 * foreign.
 */
export function isForeignHost({ headers: { host = "" } }: Head): boolean {
  if (host !== last.host) last = { host, isForeign: mayBelongToOthers(host) };
  return last.isForeign;
}

function mayBelongToOthers(host: string): boolean {
  if (host === "") return false;
  const name = nameOf(host);
  if (name === undefined) return true;
  const isOwn = name === hostname().toLowerCase() || name.endsWith(".localhost") || name === "host.docker.internal";
  return !isOwn && isIP(name) === 0 && name.includes(".");
}

/** Values of `Sec-Fetch-Site` for requests that no page of another site sends. */
const OWN_SITES: ReadonlySet<string> = new Set(["same-origin", "same-site", "none"]);

/**
 * Whether the browser reports another site. Old browsers send only `Origin`, and only with requests that change
 * something.
 */
export function isCrossSite({ headers }: Head): boolean {
  const { "sec-fetch-site": site, origin, host } = headers;
  if (typeof site === "string" && OWN_SITES.has(site)) return false;
  if (String(site).toLowerCase() === "cross-site") return true;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/** Returns the host name without port, brackets and final dot. */
function nameOf(host: string): string | undefined {
  const url = `http://${host}`;
  if (!URL.canParse(url)) return undefined;
  return new URL(url).hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}
