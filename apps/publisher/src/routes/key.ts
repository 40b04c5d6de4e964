import { createRoute } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { bearerKey, scopeOf } from "../http/api-keys.ts";
import { keyReply } from "./cluster-schemas.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";

const find = createRoute({
  method: "get",
  path: "/v1/key",
  tags: ["cluster"],
  operationId: "findKey",
  summary: "Get what the API key of the request allows",
  description: "Asks neither NATS nor a worker.",
  responses: { 200: jsonResponse("The scope of the key.", keyReply), ...errorResponses("unauthorized") },
});

/** Adds the route by which pages learn what they can offer with a key. */
export function addKeyRoute(api: Api, { keys }: ApiParts): void {
  api.openapi(find, (c) => c.json({ scope: scopeOf(keys, bearerKey(c.env.incoming)) }, 200));
}
