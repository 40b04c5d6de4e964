import { VERSION } from "@fanwire/service";
import type { z } from "@hono/zod-openapi";
import { type ErrorCode, errorBody, errorEntry, errors } from "./errors.ts";
import type { Api } from "./http.ts";
import { errorReply } from "./schemas.ts";

export type ApiDocument = ReturnType<Api["getOpenAPI31Document"]>;

const DESCRIPTION = [
  "Publishes to the browsers of a Fanwire cluster, and tells who is connected.",
  "Answers are truthful: 200 only for what NATS has confirmed, and 503 with `Retry-After` while NATS cannot be reached.",
  'Every error is `{"error":{"code","message","details"?}}`.',
].join(" ");

/** The description of everything `api` answers, generated from the schemas that check it. */
export function describeApi(api: Api, { hasKeys }: { readonly hasKeys: boolean }): ApiDocument {
  const document = api.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Fanwire publisher", version: VERSION, description: DESCRIPTION },
    servers: [{ url: "/" }],
  });
  return hasKeys ? withKeys(document) : document;
}

function withKeys(document: ApiDocument): ApiDocument {
  return {
    ...document,
    security: [{ bearer: [] }],
    components: {
      ...document.components,
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "One of PUBLISHER_API_KEYS." },
        key: { type: "apiKey", in: "query", name: "key", description: "The same, where no header can be sent." },
      },
    },
  };
}

export function jsonResponse<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { "application/json": { schema } } };
}

/** Responses that every route may return: errors of the server, the network or the client of the caller. */
const COMMON: readonly ErrorCode[] = [
  "malformed_request",
  "malformed_target",
  "foreign_request",
  "method_not_allowed",
  "request_timeout",
  "too_many_requests",
  "headers_too_large",
  "internal",
];

/** The entries of a route's `responses` for the errors it may end with; codes of one status share an entry. */
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
