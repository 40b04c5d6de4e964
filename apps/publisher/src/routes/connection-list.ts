import { parseConnectionAddress, protocolNames } from "@fanwire/protocol";
import { createRoute, z } from "@hono/zod-openapi";
import { parsePlace } from "../cluster/connection-page.ts";
import type { Api, ApiParts } from "../http/api.ts";
import { throwFailure } from "./failures.ts";
import { afterText, connectionsReply, invalidAfter, pageLimit, searchText } from "./list-schemas.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { topicPattern, userName } from "./schemas.ts";

const page = z.strictObject({
  search: searchText("the address, the user or the remote address"),
  protocol: z
    .enum(protocolNames, `must be one of ${protocolNames.join(", ")}`)
    .optional()
    .openapi({ description: "Return only connections with this client protocol." }),
  user: userName.optional().openapi({ description: "Return only connections of this user." }),
  topic: topicPattern
    .optional()
    .openapi({ description: "Return only connections that are subscribed to exactly this topic or pattern." }),
  order: z.enum(["address", "busiest"], "must be address or busiest").default("address").openapi({
    description:
      "`address`: by worker id, then by number. `busiest`: those with most unsent bytes first, then those with most topics.",
  }),
  after: afterText("connection"),
  limit: pageLimit("connections"),
});

const listConnections = createRoute({
  method: "get",
  path: "/v1/connections",
  tags: ["connections"],
  operationId: "listConnections",
  summary: "List connections",
  description: [
    "Asks every worker. All filters must match.",
    "A worker with many connections looks at all of them at most every few seconds, for the same request.",
    "So the choice and the order of the connections may be up to ten seconds old. Their descriptions are not.",
  ].join(" "),
  request: { query: page },
  responses: {
    200: jsonResponse("One page of the connections.", connectionsReply),
    ...errorResponses("unauthorized", "invalid_request", "too_many_requests", "nats_forbidden", "nats_unavailable"),
  },
});

/** Adds the route that lists connections. */
export function addConnectionListRoute(api: Api, { cluster: { lists } }: ApiParts): void {
  api.openapi(listConnections, async (c) => {
    const { order, after, ...filter } = c.req.valid("query");
    const listed =
      order === "address"
        ? await lists.connections({ ...filter, after: parseAfter(after, parseConnectionAddress) })
        : await lists.busiestConnections({ ...filter, after: parseAfter(after, parsePlace) });
    if (!listed.ok) return throwFailure(listed);
    const { ok: _, connections, ...found } = listed;
    return c.json({ connections: [...connections], ...found }, 200);
  });
}

function parseAfter<Place>(after: string | undefined, parse: (text: string) => Place | undefined): Place | undefined {
  if (after === undefined) return undefined;
  return parse(after) ?? invalidAfter();
}
