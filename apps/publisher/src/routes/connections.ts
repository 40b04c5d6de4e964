import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { throwFailure } from "./failures.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { connectionReply, pusherConnectionAddress } from "./schemas.ts";

const path = "/v1/connections/{address}";
const request = { params: z.object({ address: pusherConnectionAddress }) };
const errorsOfReads = [
  "unauthorized",
  "connection_not_found",
  "invalid_request",
  "too_many_requests",
  "nats_forbidden",
  "malformed_reply",
  "nats_unavailable",
  "worker_timeout",
] as const;
const errors = errorResponses(...errorsOfReads);

const find = createRoute({
  method: "get",
  path,
  tags: ["connections"],
  operationId: "findConnection",
  summary: "Get a connection",
  description:
    "Asks the connection's worker. The status is 422 for an invalid address or one of a Workerman worker, and 404 for an address that no connection has.",
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
  tags: ["connections"],
  operationId: "closeConnection",
  summary: "Close a connection",
  description:
    "The worker closes the WebSocket with code 4403, after which the client must not reconnect automatically.",
  request,
  responses: {
    204: { description: "The worker is closing the connection." },
    ...errorResponses(...errorsOfReads, "forbidden"),
  },
});

export function addConnectionsRoutes(api: Api, { cluster }: ApiParts): void {
  api.openapi(find, async (c) => {
    const found = await cluster.findConnection(c.req.valid("param").address);
    return found.ok ? c.json(found.connection, 200) : throwFailure(found);
  });
  // Hono answers HEAD with the route of GET, without the body.
  api.openAPIRegistry.registerPath(exists);
  api.openapi(close, async (c) => {
    const closed = await cluster.closeConnection(c.req.valid("param").address);
    return closed.ok ? c.body(null, 204) : throwFailure(closed);
  });
}
