import { createRoute } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { throwFailure } from "./failures.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { clusterReply } from "./schemas.ts";

const describe = createRoute({
  method: "get",
  path: "/v1/cluster",
  tags: ["cluster"],
  operationId: "describeCluster",
  summary: "List all workers",
  description: "Asks all workers and returns the replies. `missing` lists known workers that did not reply.",
  responses: {
    200: jsonResponse("The workers.", clusterReply),
    ...errorResponses("unauthorized", "too_many_requests", "nats_forbidden", "nats_unavailable"),
  },
});

export function addWorkersRoute(api: Api, { cluster }: ApiParts): void {
  api.openapi(describe, async (c) => {
    const described = await cluster.describeWorkers();
    if (!described.ok) return throwFailure(described);
    const { workers, missing } = described;
    return c.json({ workers, ...(missing.length > 0 && { missing }) }, 200);
  });
}
