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
    "With `complete: false` more workers may run, for example because the publisher has just connected to NATS. A service that does not reply is not listed.",
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
    const { ok: _, missing, isComplete, ...found } = described;
    const gap = { ...(missing.length > 0 && { missing }), ...(!isComplete && { complete: false as const }) };
    return c.json({ ...found, ...gap }, 200);
  });
}
