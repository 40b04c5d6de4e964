import { createRoute, type RouteConfig, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Api, Env } from "../../http/api.ts";
import { errorResponses, jsonResponse } from "../openapi.ts";

const appId = z.string().openapi({ description: "Id of the app.", example: "1001" });
const channelName = z.string().openapi({ description: "Name of the channel.", example: "presence-lobby" });
const userId = z.string().openapi({ description: "Id of the signed-in user.", example: "u1" });

/** Query parameters of every request. The signature covers all others, so no schema checks them. */
const signature = z.object({
  auth_key: z.string().describe("Key of the app."),
  auth_timestamp: z.string().describe("Unix time in seconds, at most 600 s from the publisher's clock."),
  auth_version: z.string().optional().describe("`1.0`."),
  body_md5: z.string().optional().describe("MD5 of the body in hexadecimal digits. Required if there is a body."),
  auth_signature: z.string().describe("HMAC-SHA-256 of method, path and sorted query, with the secret of the app."),
});
const info = z.string().optional().describe("Attributes for the response, separated by commas.");

const event = z.object({
  name: z
    .string()
    .describe("Name of the event: 1 to 200 characters, not `pusher:…`, `pusher_internal:…` or `fanwire.…`."),
  data: z.string().describe("Content. The app's maxEventBytes limits its bytes."),
  socket_id: z.string().optional().describe("Connection that must not receive the event."),
  info: info.describe("`user_count` for presence channels, `subscription_count` for all others."),
});
const channelInfo = z
  .object({
    user_count: z.int().optional().describe("Number of users on a presence channel."),
    subscription_count: z.int().optional().describe("Number of subscribed connections, of all protocols."),
  })
  .openapi("PusherChannelInfo");

const common = [
  "invalid_pusher_request",
  "invalid_signature",
  "unknown_app",
  "too_many_requests",
  // The body of every request is read, because the signature covers it.
  "body_too_large",
  "unsupported_media_type",
] as const;
const natsErrors = ["nats_forbidden", "nats_unavailable"] as const;
const publishErrors = errorResponses(
  ...common,
  "malformed_json",
  "event_too_large",
  "content_too_large",
  ...natsErrors,
  "history_unavailable",
  "unconfirmed",
  "partly_published",
);
const readErrors = errorResponses(...common, ...natsErrors, "worker_timeout");

function describe<Route extends Omit<RouteConfig, "tags" | "security">>(route: Route) {
  return createRoute({ ...route, tags: ["pusher"], security: [{ signature: [] }] });
}

function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { body: { required: true, content: { "application/json": { schema } } } };
}

export const triggerEvent = describe({
  method: "post",
  path: "/apps/{app_id}/events",
  operationId: "pusherTrigger",
  summary: "Publish an event to channels",
  description: [
    "`channels` has 1 to 100 names; a name that is repeated counts once. `#server-to-user-<id>` addresses a signed-in user.",
    "Events to cache channels are stored, so that new subscribers receive the last one.",
    "With `info`, the response has one key for each distinct channel.",
  ].join(" "),
  request: {
    params: z.object({ app_id: appId }),
    query: signature,
    ...jsonBody(
      event.extend({
        channels: z.array(z.string()).optional(),
        channel: z.string().optional().describe("A single channel, instead of `channels`."),
      }),
    ),
  },
  responses: {
    200: jsonResponse("NATS has the event.", z.object({ channels: z.record(z.string(), channelInfo).optional() })),
    ...publishErrors,
  },
});

export const batchEvents = describe({
  method: "post",
  path: "/apps/{app_id}/batch_events",
  operationId: "pusherTriggerBatch",
  summary: "Publish up to ten events in order",
  description: "If one event is not valid, none is published.",
  request: {
    params: z.object({ app_id: appId }),
    query: signature,
    ...jsonBody(
      z.object({
        batch: z
          .array(event.extend({ channel: z.string() }))
          .min(1)
          .max(10),
      }),
    ),
  },
  responses: {
    200: jsonResponse(
      "NATS has the events. `batch` is present if an event asked for `info`.",
      z.object({ batch: z.array(channelInfo).optional() }),
    ),
    ...publishErrors,
  },
});

export const listChannels = describe({
  method: "get",
  path: "/apps/{app_id}/channels",
  operationId: "pusherChannels",
  summary: "List the occupied channels",
  description: "Asks every worker. Connections of all protocols occupy a channel.",
  request: {
    params: z.object({ app_id: appId }),
    query: signature.extend({
      filter_by_prefix: z.string().optional(),
      info: info.describe("`user_count`, only with a prefix that begins with `presence-`, or `subscription_count`."),
    }),
  },
  responses: {
    200: jsonResponse("The channels.", z.object({ channels: z.record(z.string(), channelInfo) })),
    ...readErrors,
  },
});

export const findChannel = describe({
  method: "get",
  path: "/apps/{app_id}/channels/{channel_name}",
  operationId: "pusherChannel",
  summary: "Get a channel",
  request: {
    params: z.object({ app_id: appId, channel_name: channelName }),
    query: signature.extend({ info: info.describe("`user_count`, `subscription_count`, `cache`.") }),
  },
  responses: {
    200: jsonResponse(
      "The channel, which may be vacant.",
      channelInfo.extend({
        occupied: z.boolean(),
        cache: z
          .object({ data: z.string(), ttl: z.int().describe("Seconds until the channel forgets the event.") })
          .nullable()
          .optional(),
      }),
    ),
    ...errorResponses(...common, ...natsErrors, "worker_timeout", "history_unavailable"),
  },
});

export const listUsers = describe({
  method: "get",
  path: "/apps/{app_id}/channels/{channel_name}/users",
  operationId: "pusherUsers",
  summary: "List the users of a presence channel",
  request: { params: z.object({ app_id: appId, channel_name: channelName }), query: signature },
  responses: {
    200: jsonResponse("The users.", z.object({ users: z.array(z.object({ id: z.string() })) })),
    ...readErrors,
  },
});

export const terminateUser = describe({
  method: "post",
  path: "/apps/{app_id}/users/{user_id}/terminate_connections",
  operationId: "pusherTerminate",
  summary: "Close the connections of a signed-in user",
  description: "The app's terminateCode is the close code: with 4009 clients do not reconnect, with 4200 they do.",
  request: { params: z.object({ app_id: appId, user_id: userId }), query: signature },
  responses: { 200: jsonResponse("The connections are being closed.", z.object({})), ...readErrors },
});

export const terminateByKey = describe({
  method: "post",
  path: "/users/{user_id}/terminate_connections",
  operationId: "pusherTerminateByKey",
  summary: "Close the connections of a signed-in user, as the Python SDK requests it",
  description: "The key names the app.",
  request: { params: z.object({ user_id: userId }), query: signature },
  responses: { 200: jsonResponse("The connections are being closed.", z.object({})), ...readErrors },
});

/** Adds a route without the library's validator, because the signature must be checked before anything else is read. */
export function routed(api: Api, route: RouteConfig, handle: (c: Context<Env>) => Promise<Response>): void {
  api.openAPIRegistry.registerPath(route);
  api.on(route.method, route.path.replaceAll(/{(\w+)}/g, ":$1"), handle);
}
