import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../app.ts";
import { ApiError } from "../http/errors.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import {
  affectedReply,
  connectionAddress,
  followersReply,
  topicName,
  topicPattern,
  userName,
  userReply,
} from "./schemas.ts";

const gatherErrors = errorResponses(
  "unauthorized",
  "invalid_request",
  "too_many_requests",
  "nats_forbidden",
  "nats_unavailable",
);
const actErrors = errorResponses(
  "unauthorized",
  "invalid_request",
  "too_many_requests",
  "nats_forbidden",
  "nats_unavailable",
  "worker_timeout",
);
const DEFAULT_CONNECTIONS = 100;
const MAX_CONNECTIONS = 1_000;

const page = z.object({
  after: connectionAddress.optional().openapi({
    description: "The `next` of the previous page. Default: from the first connection.",
    type: "string",
  }),
  limit: z.coerce
    .number("must be a number")
    .int("must be a whole number")
    .min(1, "must be at least 1")
    .max(MAX_CONNECTIONS, `must be at most ${MAX_CONNECTIONS}`)
    .default(DEFAULT_CONNECTIONS)
    .openapi({ description: "Maximum number of connections in the response." }),
});
const connectionErrors = errorResponses(
  "unauthorized",
  "connection_not_found",
  "topic_limit",
  "invalid_request",
  "too_many_requests",
  "nats_forbidden",
  "malformed_reply",
  "nats_unavailable",
  "worker_timeout",
);
const followingConnection = { params: z.object({ address: connectionAddress, topic: topicPattern }) };
const followingUser = { params: z.object({ user: userName, topic: topicPattern }) };
const ofUser = { params: z.object({ user: userName }) };

const subscribeByConnection = createRoute({
  method: "put",
  path: "/v1/connections/{address}/topics/{topic}",
  operationId: "followTopic",
  summary: "Subscribe a connection to a topic",
  description: "Does not depend on the connection's token. The topic may be a pattern and must be percent-encoded.",
  request: followingConnection,
  responses: { 204: { description: "The connection is subscribed." }, ...connectionErrors },
});

const unsubscribeByConnection = createRoute({
  ...subscribeByConnection,
  method: "delete",
  operationId: "unfollowTopic",
  summary: "Unsubscribe a connection from a topic",
  description: "The response is the same if the connection was not subscribed.",
  responses: { 204: { description: "The connection is not subscribed." }, ...connectionErrors },
});

const subscribeByUser = createRoute({
  method: "put",
  path: "/v1/users/{user}/topics/{topic}",
  operationId: "followTopicByUser",
  summary: "Subscribe all connections of a user to a topic",
  description: "Applies to open connections. Skips connections that have reached their topic limit.",
  request: followingUser,
  responses: { 200: jsonResponse("How many connections the user has.", affectedReply), ...actErrors },
});

const unsubscribeByUser = createRoute({
  ...subscribeByUser,
  method: "delete",
  operationId: "unfollowTopicByUser",
  summary: "Unsubscribe all connections of a user from a topic",
  description: "Applies to open connections.",
});

const findUser = createRoute({
  method: "get",
  path: "/v1/users/{user}",
  operationId: "findUser",
  summary: "Get a user's connections",
  description: "Asks every worker. `count` is the number of all connections; the response describes one page of them.",
  request: { ...ofUser, query: page },
  responses: { 200: jsonResponse("The user's connections, if any.", userReply), ...gatherErrors },
});

const closeUser = createRoute({
  method: "delete",
  path: "/v1/users/{user}/connections",
  operationId: "closeUser",
  summary: "Close all connections of a user",
  description: "The workers close them with code 4403, after which clients must not reconnect automatically.",
  request: ofUser,
  responses: { 200: jsonResponse("The number of closed connections.", affectedReply), ...actErrors },
});

const findTopic = createRoute({
  method: "get",
  path: "/v1/topics/{topic}",
  operationId: "findTopic",
  summary: "Count the subscribers of a topic",
  description: "Asks every worker how many connections would receive a publication to the topic now.",
  request: { params: z.object({ topic: topicName }) },
  responses: { 200: jsonResponse("The number of subscribed connections.", followersReply), ...gatherErrors },
});

/** Routes about subscriptions and users. */
export function addFollowingRoutes(api: Api, { cluster }: ApiParts): void {
  for (const [route, command] of [
    [subscribeByConnection, "subscribe"],
    [unsubscribeByConnection, "unsubscribe"],
  ] as const) {
    api.openapi(route, async (c) => {
      const { address, topic } = c.req.valid("param");
      const outcome = await cluster.follow(command, address, topic);
      if (outcome === "gone") throw new ApiError("connection_not_found");
      if (outcome === "topic-limit") throw new ApiError("topic_limit");
      return c.body(null, 204);
    });
  }
  for (const [route, command] of [
    [subscribeByUser, "subscribe-user"],
    [unsubscribeByUser, "unsubscribe-user"],
  ] as const) {
    api.openapi(route, async (c) => {
      return c.json({ connections: await cluster.commandUser({ command, ...c.req.valid("param") }) }, 200);
    });
  }
  api.openapi(findUser, async (c) => {
    const { user } = c.req.valid("param");
    const { after, limit } = c.req.valid("query");
    const { connections, ...found } = await cluster.findUser({ user, after, limit });
    return c.json({ user, ...found, connections: [...connections] }, 200);
  });
  api.openapi(closeUser, async (c) => {
    const { user } = c.req.valid("param");
    return c.json({ connections: await cluster.commandUser({ command: "close-user", user }) }, 200);
  });
  api.openapi(findTopic, async (c) => {
    const { topic } = c.req.valid("param");
    return c.json({ topic, ...(await cluster.countFollowers(topic)) }, 200);
  });
}
