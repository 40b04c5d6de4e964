import { parseConnectionAddress, type Target } from "@fanwire/protocol";
import { createRoute, z } from "@hono/zod-openapi";
import { parseQuery, type Query } from "../compat/php-query.ts";
import type { Api, ApiParts } from "../http/api.ts";
import { type ApiKeys, bearerKey, checkFullKey } from "../http/api-keys.ts";
import { ApiError } from "../http/errors.ts";
import { throwFailure } from "./failures.ts";
import { errorResponses } from "./openapi.ts";

const WORKER_ID = "to_worker_id";
const CONNECTION_ID = "to_connection_id";

const described = (method: "get" | "post" | "head", keys: ApiKeys) =>
  createRoute({
    method,
    path: "/",
    tags: ["publications"],
    operationId: `publishByQuery_${method}`,
    summary: "Publish with query parameters",
    description: [
      "Compatible with the Workerman cluster. All methods read only the query. If a parameter is repeated, the last value is used.",
      "Bytes may be percent-encoded or not and need not be UTF-8.",
      "The response is `ok` even if no connection has the address. If `content` is missing or empty, nothing is published.",
    ].join(" "),
    request: {
      query: z.object({
        content: z.string().optional().openapi({ description: "The content.", example: "hello" }),
        [WORKER_ID]: z
          .string()
          .optional()
          .describe("The worker of the target connection. Requires `to_connection_id` as well."),
        [CONNECTION_ID]: z
          .string()
          .optional()
          .describe("The target connection's id on that worker. Requires `to_worker_id` as well."),
      }),
    },
    ...(!keys.isOpen && { security: [{ bearer: [] }, { key: [] }] }),
    responses: {
      200: { description: "Published, or nothing to publish.", content: { "text/plain": { schema: z.literal("ok") } } },
      ...errorResponses(
        "unauthorized",
        "forbidden",
        "content_too_large",
        "invalid_request",
        "too_many_requests",
        "nats_forbidden",
        "nats_unavailable",
        "unconfirmed",
      ),
    },
  });

/** Adds the route of the Workerman cluster's HTTP publisher. docs/http-api.md lists the differences. */
export function addClassicRoute(api: Api, { cluster, keys }: ApiParts): void {
  for (const method of ["get", "post", "head"] as const) api.openAPIRegistry.registerPath(described(method, keys));
  api.on(["GET", "POST"], "/", async (c) => {
    const { incoming } = c.env;
    const query = parseQuery(incoming.url ?? "/");
    checkFullKey(keys, query.parameters.get("key"), bearerKey(incoming));

    const target = targetOf(query);
    const content = query.parameters.get("content");
    if (target !== undefined && content !== undefined && content.length > 0) {
      const result = await cluster.publisher.publishUnchecked({ target, content });
      if (!result.ok) throwFailure(result);
    }
    return c.body("ok", 200, { "Content-Type": "text/plain; charset=utf-8" });
  });
}

/** Returns `undefined` for an address that no connection can have. */
function targetOf({ parameters, arrays }: Query): Target | undefined {
  const workerId = parameters.get(WORKER_ID);
  const connectionId = parameters.get(CONNECTION_ID);
  if (workerId === undefined && connectionId === undefined) return { kind: "everyone" };
  if (arrays.has(WORKER_ID) || arrays.has(CONNECTION_ID)) {
    throw new ApiError("invalid_request", { message: `${WORKER_ID} and ${CONNECTION_ID} must not be arrays.` });
  }
  // The Workerman cluster published to everyone in this case. We refuse, because one connection was meant.
  if (!workerId?.length || !connectionId?.length) {
    throw new ApiError("invalid_request", {
      message: `Send both ${WORKER_ID} and ${CONNECTION_ID}, or neither. They must not be empty.`,
    });
  }
  const connection = parseConnectionAddress(`${workerId.toString("latin1")}.${connectionId.toString("latin1")}`);
  return connection && { kind: "connection", connection };
}
