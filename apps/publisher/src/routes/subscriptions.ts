import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { throwFailure } from "./failures.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { pusherConnectionAddress, topicName, topicPattern, topicReply } from "./schemas.ts";

const subscribeConnection = createRoute({
  method: "put",
  path: "/v1/connections/{address}/topics/{topic}",
  tags: ["connections"],
  operationId: "subscribeConnection",
  summary: "Subscribe a connection to a topic",
  description: "Does not depend on the connection's token. The topic may be a pattern and must be percent-encoded.",
  request: { params: z.object({ address: pusherConnectionAddress, topic: topicPattern }) },
  responses: { 204: { description: "The connection is subscribed." }, ...connectionErrors("topic_limit") },
});

const unsubscribeConnection = createRoute({
  ...subscribeConnection,
  method: "delete",
  operationId: "unsubscribeConnection",
  summary: "Unsubscribe a connection from a topic",
  description: "The response is the same if the connection was not subscribed.",
  responses: { 204: { description: "The connection is not subscribed." }, ...connectionErrors() },
});

const findTopic = createRoute({
  method: "get",
  path: "/v1/topics/{topic}",
  tags: ["cluster"],
  operationId: "findTopic",
  summary: "Count the subscribers of a topic",
  description:
    "Asks every worker how many connections would receive a publication to the topic now, and who has joined it with presence.",
  request: { params: z.object({ topic: topicName }) },
  responses: {
    200: jsonResponse("The number of subscribed connections.", topicReply),
    ...errorResponses("unauthorized", "invalid_request", "too_many_requests", "nats_forbidden", "nats_unavailable"),
  },
});

function connectionErrors(...own: "topic_limit"[]) {
  return errorResponses(
    "unauthorized",
    "forbidden",
    "connection_not_found",
    ...own,
    "invalid_request",
    "too_many_requests",
    "nats_forbidden",
    "malformed_reply",
    "nats_unavailable",
    "worker_timeout",
  );
}

/** Adds the routes about the subscriptions of one connection and the subscribers of one topic. */
export function addSubscriptionsRoutes(api: Api, { cluster }: ApiParts): void {
  for (const [route, command] of [
    [subscribeConnection, "subscribe"],
    [unsubscribeConnection, "unsubscribe"],
  ] as const) {
    api.openapi(route, async (c) => {
      const { address, topic } = c.req.valid("param");
      const changed = await cluster.changeSubscription(command, address, topic);
      return changed.ok ? c.body(null, 204) : throwFailure(changed);
    });
  }
  api.openapi(findTopic, async (c) => {
    const { topic } = c.req.valid("param");
    const counted = await cluster.countSubscribers(topic);
    if (!counted.ok) return throwFailure(counted);
    const { ok: _, ...found } = counted;
    return c.json({ topic, ...found }, 200);
  });
}
