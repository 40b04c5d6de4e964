import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../app.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { connectionAddress, connectionReply } from "./schemas.ts";

const path = "/v1/connections/{address}";
const request = { params: z.object({ address: connectionAddress }) };
const errors = errorResponses(
  "unauthorized",
  "connection_not_found",
  "invalid_request",
  "too_many_requests",
  "nats_forbidden",
  "malformed_reply",
  "nats_unavailable",
  "worker_timeout",
);

const find = createRoute({
  method: "get",
  path,
  operationId: "findConnection",
  summary: "Get a connection",
  description:
    "Asks the connection's worker. The status is 422 for an invalid address and 404 for an address that no connection has.",
  request,
  responses: { 200: jsonResponse("The connection.", connectionReply), ...errors },
});

const exists = createRoute({
  ...find,
  method: "head",
  operationId: "hasConnection",
  summary: "Check whether a connection is open",
  responses: { 200: { description: "The connection is open." }, ...errors },
});

const close = createRoute({
  method: "delete",
  path,
  operationId: "closeConnection",
  summary: "Close a connection",
  description:
    "The worker closes the WebSocket with code 4403, after which the client must not reconnect automatically.",
  request,
  responses: { 204: { description: "The worker is closing the connection." }, ...errors },
});

export function addConnectionsRoutes(api: Api, { cluster }: ApiParts): void {
  api.openapi(find, async (c) => c.json(await cluster.findConnection(c.req.valid("param").address), 200));
  // Hono answers HEAD by the route for GET, without the body.
  api.openAPIRegistry.registerPath(exists);
  api.openapi(close, async (c) => {
    await cluster.closeConnection(c.req.valid("param").address);
    return c.body(null, 204);
  });
}
