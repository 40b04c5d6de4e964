import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { ApiError } from "../http/errors.ts";
import { throwFailure } from "./failures.ts";
import { pageLimit } from "./list-schemas.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { membersReply, topicName, userName } from "./schemas.ts";

const MAX_MEMBERS = 1_000;

const page = z.strictObject({
  after: userName.optional().openapi({
    description: "The `next` of the previous page. Default: from the first member.",
  }),
  limit: pageLimit("members", MAX_MEMBERS),
});

const findMembers = createRoute({
  method: "get",
  path: "/v1/topics/{topic}/members",
  tags: ["cluster"],
  operationId: "findMembers",
  summary: "Get the members of a topic",
  description:
    "Asks every worker for the users with open connections that have joined the topic with presence. Fails if a worker does not answer.",
  request: { params: z.object({ topic: topicName }), query: page },
  responses: {
    200: jsonResponse("The members, if any.", membersReply),
    ...errorResponses(
      "unauthorized",
      "invalid_request",
      "too_many_requests",
      "nats_forbidden",
      "nats_unavailable",
      "worker_timeout",
    ),
  },
});

/** Adds the route about the members of one topic. */
export function addMembersRoute(api: Api, { cluster }: ApiParts): void {
  api.openapi(findMembers, async (c) => {
    const { topic } = c.req.valid("param");
    const found = await cluster.findMembers({ topic, ...c.req.valid("query") });
    if (!found.ok) return throwFailure(found);
    // A list that lacks members would look like one without them.
    if (found.complete === false) {
      throw new ApiError("worker_timeout", { message: "Not all workers that may run have answered. Retry later." });
    }
    const { members, count, next } = found;
    return c.json({ topic, members: [...members], count, ...(next !== undefined && { next }) }, 200);
  });
}
