import { createRoute } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../app.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { clusterReply } from "./schemas.ts";

const describe = createRoute({
  method: "get",
  path: "/v1/cluster",
  operationId: "describeCluster",
  summary: "List all workers",
  description: "Asks all workers and returns the replies. `missing` lists known workers that did not reply.",
  responses: {
    200: jsonResponse("The workers.", clusterReply),
    ...errorResponses("unauthorized", "too_many_requests", "nats_forbidden", "nats_unavailable"),
  },
});

export function addClusterRoute(api: Api, { cluster }: ApiParts): void {
  api.openapi(describe, async (c) => {
    const { workers, missing } = await cluster.describeWorkers();
    return c.json({ workers, ...(missing.length > 0 && { missing }) }, 200);
  });
}
