import { VERSION } from "@fanwire/service";
import type { z } from "@hono/zod-openapi";
import type { Api, ApiDocument } from "../http/api.ts";
import { type ErrorCode, errorBody, errorEntry, errors } from "../http/errors.ts";
import { errorReply } from "./schemas.ts";

const DESCRIPTION = [
  "Publishes to the clients of a Fanwire cluster and reports which clients are connected.",
  "The status is 200 only after NATS has confirmed a publication, and 503 with `Retry-After` while NATS cannot be reached.",
  'Every error has the form `{"error":{"code","message","details"?}}`.',
].join(" ");

/** Groups of the routes, in the order in which the page shows them. */
const TAGS = [
  { name: "publications", description: "Publish to everyone, topics, users or connections." },
  { name: "history", description: "Read stored publications." },
  { name: "connections", description: "Find and close connections, and change their subscriptions." },
  { name: "users", description: "Find and close a user's connections, and change their subscriptions." },
  { name: "cluster", description: "Ask all workers." },
  { name: "pusher", description: "The HTTP API of Pusher Channels. Requests are signed with a key of an app." },
] as const;

/** Returns the OpenAPI document of all routes of `api`, generated from the schemas that check the requests. */
export function describeApi(api: Api, { hasKeys }: { readonly hasKeys: boolean }): ApiDocument {
  const document = api.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Fanwire publisher", version: VERSION, description: DESCRIPTION },
    // Relative to the document, because a proxy may serve the API below another path.
    servers: [{ url: "./" }],
    tags: [...TAGS],
  });
  const hasApps = document.paths?.[SIGNED_PATH] !== undefined;
  if (!hasKeys && !hasApps) return document;
  const securitySchemes = { ...(hasKeys && KEY_SCHEMES), ...(hasApps && SIGNATURE_SCHEME) };
  return {
    ...document,
    ...(hasKeys && { security: [{ bearer: [] }] }),
    components: { ...document.components, securitySchemes },
  };
}

/** A path that is described only if there are Pusher apps. */
const SIGNED_PATH = "/apps/{app_id}/events";

const KEY_SCHEMES = {
  bearer: { type: "http", scheme: "bearer", description: "One of PUBLISHER_API_KEYS." },
  key: {
    type: "apiKey",
    in: "query",
    name: "key",
    description: "One of PUBLISHER_API_KEYS, for callers that cannot send a header.",
  },
} as const;

const SIGNATURE_SCHEME = {
  signature: {
    type: "apiKey",
    in: "query",
    name: "auth_signature",
    description: "HMAC-SHA-256 with the secret of a Pusher app, as the Pusher SDKs send it.",
  },
} as const;

export function jsonResponse<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { "application/json": { schema } } };
}

/** Responses that every route may return: errors of the server, the network or the client of the caller. */
const COMMON: readonly ErrorCode[] = [
  "malformed_request",
  "malformed_target",
  "no_websockets",
  "foreign_request",
  "method_not_allowed",
  "request_timeout",
  "too_many_requests",
  "headers_too_large",
  "internal",
];

/** Returns the `responses` of a route for `own` and the common errors. Codes with the same status share an entry. */
export function errorResponses(...own: ErrorCode[]) {
  const codes = [...new Set([...own, ...COMMON])];
  const statuses = new Set(codes.map((code) => errors[code].status));
  return Object.fromEntries([...statuses].map((status) => [status, errorResponse(status, codes)]));
}

function errorResponse(status: number, codes: readonly ErrorCode[]) {
  const group = codes.filter((code) => errors[code].status === status);
  const examples = Object.fromEntries(group.map((code) => [code, { value: errorBody(code) }]));
  const headerNames = new Set(group.flatMap((code) => Object.keys(errorEntry(code).headers ?? {})));
  return {
    description: group.map((code) => `\`${code}\`: ${errors[code].message}`).join(" "),
    headers: Object.fromEntries([...headerNames].map((name) => [name, { schema: { type: "string" as const } }])),
    content: { "application/json": { schema: errorReply, examples } },
  };
}
