import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { throwFailure } from "./failures.ts";
import { afterText, order, pageLimit, rankOf, searchText, topicsReply } from "./list-schemas.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";

const MAX_TOPICS = 1_000;

const page = z.strictObject({
  prefix: z.string().optional().openapi({ description: "Return only topics that begin with this." }),
  search: searchText("the topic"),
  order,
  after: afterText("topic"),
  limit: pageLimit("topics", MAX_TOPICS),
});

const listTopics = createRoute({
  method: "get",
  path: "/v1/topics",
  tags: ["cluster"],
  operationId: "listTopics",
  summary: "List the topics that have subscribers",
  description: [
    "Asks every worker. Connections of all protocols count. A subscription to a pattern occupies no topic.",
    "Topics that begin to have subscribers, or stop, between two pages may be absent.",
    "The order `busiest` begins with the topics that have most connections in the cluster, and reaches the first 1,000.",
  ].join(" "),
  request: { query: page },
  responses: {
    200: jsonResponse("One page of the topics.", topicsReply),
    ...errorResponses("unauthorized", "invalid_request", "too_many_requests", "nats_forbidden", "nats_unavailable"),
  },
});

/** Adds the route that lists occupied topics. */
export function addTopicsRoute(api: Api, { cluster: { lists } }: ApiParts): void {
  api.openapi(listTopics, async (c) => {
    const { order, after, ...request } = c.req.valid("query");
    const listed =
      order === "name"
        ? await lists.names("topics", { ...request, after })
        : await lists.busiest("topics", { ...request, rank: rankOf(after) });
    if (!listed.ok) return throwFailure(listed);
    const { ok: _, items, ...found } = listed;
    return c.json({ topics: items.map(([topic, connections]) => ({ topic, connections })), ...found }, 200);
  });
}
