import { type Position, parsePosition } from "@fanwire/protocol";
import { createRoute, z } from "@hono/zod-openapi";
import { readHistory } from "../cluster/history.ts";
import type { Api, ApiParts } from "../http/api.ts";
import { ApiError } from "../http/errors.ts";
import { throwFailure } from "./failures.ts";
import { pageLimit } from "./list-schemas.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { historyReply, topicName } from "./schemas.ts";

const MAX_LIMIT = 1_000;
/** Maximum number of concurrent reads, because each has a page of content in memory. */
const MAX_READS = 32;

const since = z
  .string()
  .transform((text, context): Position => {
    const position = parsePosition(text);
    if (position !== undefined) return position;
    context.addIssue({ code: "custom", message: "must be a position: an epoch, a dash and a number" });
    return z.NEVER;
  })
  .optional()
  .openapi({
    description: "Return publications stored after this position. Default: from the first stored publication.",
    type: "string",
  });

const read = createRoute({
  method: "get",
  path: "/v1/topics/{topic}/publications",
  tags: ["history"],
  operationId: "readHistory",
  summary: "Read the durable publications of a topic",
  description: [
    "Returns publications in stream order, starting after `since`. For the next page, set `since` to the returned `position`.",
    "`complete` is true only if no publication can be missing. If `since` belongs to another or an earlier history, the response starts at the first stored publication and `complete` is false.",
    "Percent-encode the topic, because it is part of the path. Patterns are not allowed.",
  ].join(" "),
  request: {
    params: z.object({ topic: topicName }),
    query: z.strictObject({ since, limit: pageLimit("publications", MAX_LIMIT) }),
  },
  responses: {
    200: jsonResponse("The publications.", historyReply),
    ...errorResponses(
      "unauthorized",
      "invalid_request",
      "too_many_requests",
      "nats_forbidden",
      "nats_unavailable",
      "history_unavailable",
    ),
  },
});

export function addHistoryRoute(api: Api, { history, subjects }: ApiParts): void {
  let reads = 0;
  api.openapi(read, async (c) => {
    const { topic } = c.req.valid("param");
    if (reads >= MAX_READS) throw new ApiError("too_many_requests");
    reads++;
    try {
      const subject = subjects.history({ kind: "topic", topic });
      const { since, limit } = c.req.valid("query");
      const answer = await readHistory(history, { subject, topic, since, limit });
      return answer.ok ? c.json(answer.page, 200) : throwFailure(answer);
    } finally {
      reads--;
    }
  });
}
