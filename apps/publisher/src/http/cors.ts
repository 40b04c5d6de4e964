import { isAllowedOrigin } from "@fanwire/service";
import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";

const ALLOWED = {
  "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
  "Access-Control-Allow-Headers": "Authorization, Content-Type",
  "Access-Control-Max-Age": "600",
};

/**
 * Lets pages of these origins read responses, and answers their preflight requests, which browsers send without a key.
 * A page still needs a key.
 */
export function allowOrigins(origins: readonly string[]): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return async (c, next) => {
    const { incoming, outgoing } = c.env;
    const { origin = "" } = incoming.headers;
    // Set on Node's response, because a trace is written to it directly.
    outgoing.appendHeader("Vary", "Origin");
    if (origin === "" || !isAllowedOrigin(origin, origins)) return next();
    outgoing.setHeader("Access-Control-Allow-Origin", origin);
    outgoing.setHeader("Access-Control-Expose-Headers", "Retry-After");
    const isPreflight = c.req.method === "OPTIONS" && incoming.headers["access-control-request-method"] !== undefined;
    return isPreflight ? c.body(null, 204, ALLOWED) : next();
  };
}
