import type { Context } from "hono";
import type { Api, ApiParts, Env } from "../../http/api.ts";
import { ApiError } from "../../http/errors.ts";
import { addReadRoutes } from "./read-routes.ts";
import { SignedRequests } from "./signed-requests.ts";
import { addWriteRoutes } from "./write-routes.ts";

/**
 * Adds the Pusher HTTP API. Signatures alone protect it, so it needs neither an API key nor a check for foreign
 * requests. Without apps it is off.
 */
export function addPusherRoutes(api: Api, parts: ApiParts): void {
  if (parts.config.pusherApps.all.length === 0) {
    for (const path of ["/apps/*", "/users/*"]) api.all(path, refuse);
    return;
  }
  const requests = new SignedRequests(parts);
  addWriteRoutes(api, parts, requests);
  addReadRoutes(api, parts, requests);
}

function refuse(_c: Context<Env>): never {
  throw new ApiError("pusher_off");
}
