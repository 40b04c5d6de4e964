import { createRoute } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { clusterReply } from "./cluster-schemas.ts";
import { throwFailure } from "./failures.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";

const describe = createRoute({
  method: "get",
  path: "/v1/cluster",
  tags: ["cluster"],
  operationId: "describeCluster",
  summary: "Describe the workers, services, NATS nodes and history",
  description: [
    "Asks all workers and services and returns the replies. `missing` lists known workers that did not reply.",
    "A service that does not reply is not listed.",
  ].join(" "),
  responses: {
    200: jsonResponse("The cluster.", clusterReply),
    ...errorResponses("unauthorized", "too_many_requests", "nats_forbidden", "nats_unavailable"),
  },
});

export function addWorkersRoute(api: Api, { cluster }: ApiParts): void {
  api.openapi(describe, async (c) => {
    const described = await cluster.overview.describe();
    if (!described.ok) return throwFailure(described);
    const { ok: _, missing, ...found } = described;
    return c.json({ ...found, ...(missing.length > 0 && { missing }) }, 200);
  });
}
