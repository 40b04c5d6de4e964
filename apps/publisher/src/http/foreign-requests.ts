import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { ApiError } from "./errors.ts";

type Head = Pick<IncomingMessage, "headers">;

/**
 * Refuses what a page of another site asks of a publisher without keys through the browser of somebody who reaches it: by its own name for
 * the publisher's address (a foreign `Host`), or from elsewhere. What is no browser says none of it.
 */
export const refuseStrangers: MiddlewareHandler<{ Bindings: HttpBindings }> = (c, next) => {
  const { incoming } = c.env;
  if (isForeignHost(incoming) || isCrossSite(incoming)) throw new ApiError("foreign_request");
  return next();
};

/** A name that somebody else may have given to this address. An address is none, nor is a name of one label, which nobody can register. */
export function isForeignHost({ headers: { host } }: Head): boolean {
  if (host === undefined || host === "") return false;
  const name = nameOf(host);
  if (name === undefined) return true;
  const isOwn = name === hostname().toLowerCase() || name.endsWith(".localhost") || name === "host.docker.internal";
  return !isOwn && isIP(name) === 0 && name.includes(".");
}

/** As the browser says; an old one says only which origin sends what changes something. */
export function isCrossSite({ headers }: Head): boolean {
  const { "sec-fetch-site": site, origin, host } = headers;
  if (site !== undefined) return site === "cross-site";
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/** Without port, brackets and the dot at its end. */
function nameOf(host: string): string | undefined {
  const url = `http://${host}`;
  if (!URL.canParse(url)) return undefined;
  return new URL(url).hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}
