import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { throwFailure } from "./failures.ts";
import { afterText, order, pageLimit, rankOf, searchText, usersReply } from "./list-schemas.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";

const page = z.strictObject({
  search: searchText("the user"),
  order,
  after: afterText("user"),
  limit: pageLimit("users"),
});

const listUsers = createRoute({
  method: "get",
  path: "/v1/users",
  tags: ["users"],
  operationId: "listUsers",
  summary: "List the users that have connections",
  description: [
    "Asks every worker. Connections of all protocols count.",
    "The order `busiest` begins with the users that have most connections in the cluster, and reaches the first 1,000.",
  ].join(" "),
  request: { query: page },
  responses: {
    200: jsonResponse("One page of the users.", usersReply),
    ...errorResponses("unauthorized", "invalid_request", "too_many_requests", "nats_forbidden", "nats_unavailable"),
  },
});

/** Adds the route that lists users with connections. */
export function addUserListRoute(api: Api, { cluster: { lists } }: ApiParts): void {
  api.openapi(listUsers, async (c) => {
    const { order, after, ...request } = c.req.valid("query");
    const listed =
      order === "name"
        ? await lists.names("users", { ...request, after })
        : await lists.busiest("users", { ...request, rank: rankOf(after) });
    if (!listed.ok) return throwFailure(listed);
    const { ok: _, items, ...found } = listed;
    return c.json({ users: items.map(([user, connections]) => ({ user, connections })), ...found }, 200);
  });
}
