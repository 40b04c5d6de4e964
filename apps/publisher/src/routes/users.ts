import { createRoute, z } from "@hono/zod-openapi";
import type { Cluster } from "../cluster/cluster-client.ts";
import type { Api, ApiParts } from "../http/api.ts";
import { ApiError } from "../http/errors.ts";
import { throwFailure } from "./failures.ts";
import { pageLimit } from "./list-schemas.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { affectedReply, connectionAddress, topicPattern, userName, userReply } from "./schemas.ts";

const MAX_CONNECTIONS = 1_000;

const page = z.strictObject({
  after: connectionAddress.optional().openapi({
    description: "The `next` of the previous page. Default: from the first connection.",
    type: "string",
  }),
  limit: pageLimit("connections", MAX_CONNECTIONS),
});
const userParams = z.object({ user: userName });
const subscriptionParams = z.object({ user: userName, topic: topicPattern });

const findErrors = [
  "unauthorized",
  "invalid_request",
  "too_many_requests",
  "nats_forbidden",
  "nats_unavailable",
] as const;
const commandErrors = errorResponses(...findErrors, "forbidden", "worker_timeout");

const findUser = createRoute({
  method: "get",
  path: "/v1/users/{user}",
  tags: ["users"],
  operationId: "findUser",
  summary: "Get a user's connections",
  description: "Asks every worker. `count` is the number of all connections; the response describes one page of them.",
  request: { params: userParams, query: page },
  responses: { 200: jsonResponse("The user's connections, if any.", userReply), ...errorResponses(...findErrors) },
});

const closeUser = createRoute({
  method: "delete",
  path: "/v1/users/{user}/connections",
  tags: ["users"],
  operationId: "closeUser",
  summary: "Close all connections of a user",
  description: "The workers close them with code 4403, after which clients must not reconnect automatically.",
  request: { params: userParams },
  responses: { 200: jsonResponse("The number of closed connections.", affectedReply), ...commandErrors },
});

const subscribeUser = createRoute({
  method: "put",
  path: "/v1/users/{user}/topics/{topic}",
  tags: ["users"],
  operationId: "subscribeUser",
  summary: "Subscribe all connections of a user to a topic",
  description: "Applies to open connections. Skips connections that have reached their topic limit.",
  request: { params: subscriptionParams },
  responses: { 200: jsonResponse("The number of the user's connections.", affectedReply), ...commandErrors },
});

const unsubscribeUser = createRoute({
  ...subscribeUser,
  method: "delete",
  operationId: "unsubscribeUser",
  summary: "Unsubscribe all connections of a user from a topic",
  description: "Applies to open connections.",
});

/** Adds the routes about all connections of a user. */
export function addUsersRoutes(api: Api, { cluster }: ApiParts): void {
  api.openapi(findUser, async (c) => {
    const { user } = c.req.valid("param");
    const { after, limit } = c.req.valid("query");
    const result = await cluster.findUser({ user, after, limit });
    if (!result.ok) return throwFailure(result);
    const { ok: _, connections, ...found } = result;
    return c.json({ user, ...found, connections: [...connections] }, 200);
  });
  for (const [route, command] of [
    [subscribeUser, "subscribe-user"],
    [unsubscribeUser, "unsubscribe-user"],
  ] as const) {
    api.openapi(route, async (c) =>
      c.json({ connections: await runCommand(cluster, { command, ...c.req.valid("param") }) }, 200),
    );
  }
  api.openapi(closeUser, async (c) => {
    const { user } = c.req.valid("param");
    return c.json({ connections: await runCommand(cluster, { command: "close-user", user }) }, 200);
  });
}

/**
 * Returns the number of affected connections.
 *
 * @throws ApiError also if only some workers have answered.
 */
async function runCommand(cluster: Cluster, request: Parameters<Cluster["commandUser"]>[0]): Promise<number> {
  const result = await cluster.commandUser(request);
  if (!result.ok) return throwFailure(result);
  if (result.isComplete) return result.connections;
  // Some of these connections may have been skipped, for example at their topic limit.
  const answered = `Workers with ${result.connections} connections of the user have answered.`;
  throw new ApiError("worker_timeout", {
    message: `${answered} Others that may run have not, but may have carried the request out. Retry later.`,
  });
}
