import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "./http.ts";
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
  summary: "Look a connection up",
  description: "Asks the connection's worker. Text that cannot be an address is 422, an address nobody has is 404.",
  request,
  responses: { 200: jsonResponse("The connection.", connectionReply), ...errors },
});

const exists = createRoute({
  ...find,
  method: "head",
  operationId: "hasConnection",
  summary: "Ask whether a connection is open",
  responses: { 200: { description: "It is open." }, ...errors },
});

const close = createRoute({
  method: "delete",
  path,
  operationId: "closeConnection",
  summary: "Close a connection",
  description: "Its WebSocket is closed with code 4403, which tells the client not to come back unasked.",
  request,
  responses: { 204: { description: "It is being closed." }, ...errors },
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
