import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { throwFailure } from "./failures.ts";
import { topicsReply } from "./list-schemas.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";

const DEFAULT_TOPICS = 100;
const MAX_TOPICS = 1_000;

const page = z.object({
  prefix: z.string().optional().openapi({ description: "Return only topics that begin with this." }),
  after: z
    .string()
    .optional()
    .openapi({ description: "The `next` of the previous page. Default: from the first topic." }),
  limit: z.coerce
    .number("must be a number")
    .int("must be a whole number")
    .min(1, "must be at least 1")
    .max(MAX_TOPICS, `must be at most ${MAX_TOPICS}`)
    .default(DEFAULT_TOPICS)
    .openapi({ description: "Maximum number of topics in the response." }),
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
  ].join(" "),
  request: { query: page },
  responses: {
    200: jsonResponse("One page of the topics.", topicsReply),
    ...errorResponses("unauthorized", "invalid_request", "too_many_requests", "nats_forbidden", "nats_unavailable"),
  },
});

/** Adds the route that lists occupied topics. */
export function addTopicsRoute(api: Api, { cluster }: ApiParts): void {
  api.openapi(listTopics, async (c) => {
    const listed = await cluster.listTopics(c.req.valid("query"));
    if (!listed.ok) return throwFailure(listed);
    const { ok: _, topics, ...found } = listed;
    return c.json({ topics: topics.map(([topic, connections]) => ({ topic, connections })), ...found }, 200);
  });
}
