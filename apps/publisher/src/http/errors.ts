import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { PublishRefusal, Refused } from "../cluster/publish-result.ts";

type ErrorEntry = {
  readonly status: ContentfulStatusCode;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
};

const COME_BACK = { "Retry-After": "1" };

/** Every error the HTTP API answers with: `{"error":{"code","message","details"?}}`. */
export const errors = {
  malformed_request: { status: 400, message: "The request is not valid HTTP, or its body ended early." },
  malformed_target: {
    status: 400,
    message: "The address in the request line is not valid; percent-encode the UTF-8 of what is not plain ASCII.",
  },
  malformed_json: { status: 400, message: "The body is not valid JSON in UTF-8." },
  unauthorized: {
    status: 401,
    message: "A valid key is needed: Authorization: Bearer <key>.",
    headers: { "WWW-Authenticate": 'Bearer realm="fanwire"' },
  },
  foreign_request: {
    status: 403,
    message: "Without PUBLISHER_API_KEYS, requests of other sites' pages and under foreign host names are refused.",
  },
  not_found: { status: 404, message: "There is nothing here; /docs describes what there is." },
  connection_not_found: { status: 404, message: "Nobody has this connection: it was closed, or never was." },
  method_not_allowed: { status: 405, message: "This address does not know the method." },
  topic_limit: { status: 409, message: "The connection follows as many topics as it may." },
  request_timeout: { status: 408, message: "The request did not arrive in time." },
  body_too_large: { status: 413, message: "The body is larger than PUBLISHER_MAX_BODY_BYTES allows." },
  content_too_large: { status: 413, message: "The content is larger than NATS accepts (its max_payload)." },
  unsupported_media_type: { status: 415, message: "The body must be sent as Content-Type: application/json." },
  invalid_request: { status: 422, message: "The request is not valid." },
  too_many_requests: {
    status: 429,
    message: "The publisher is answering as many requests as it may; come back.",
    headers: COME_BACK,
  },
  headers_too_large: {
    status: 431,
    message: "The request line and headers are too large; POST /v1/publications takes large content.",
  },
  internal: { status: 500, message: "Something went wrong here; the history has it." },
  nats_forbidden: {
    status: 500,
    message:
      "NATS does not permit the publisher's user to publish this: allow it to publish <prefix>.> and $JS.API.>, and to subscribe to _INBOX.>.",
  },
  malformed_reply: { status: 502, message: "A worker answered something this publisher does not understand." },
  nats_unavailable: { status: 503, message: "NATS cannot be reached; nothing was sent.", headers: COME_BACK },
  history_unavailable: {
    status: 503,
    message: "The history of durable publications cannot be used; nothing was stored.",
    headers: COME_BACK,
  },
  unconfirmed: {
    status: 503,
    message: "NATS went away before it confirmed: this may have been sent, or stored, or not.",
    headers: COME_BACK,
  },
  worker_timeout: {
    status: 503,
    message: "The worker did not answer in time: this may have been done or not.",
    headers: COME_BACK,
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errors;

export type ErrorDetail = {
  /** Which publication of a batch, counted from 0. */
  readonly index?: number;
  /** Such as `target.connection`; absent when it concerns the whole. */
  readonly field?: string;
  readonly message: string;
};

type ErrorContext = { readonly message?: string; readonly details?: readonly ErrorDetail[]; readonly cause?: unknown };

/** Ends a request with the error of the table that `code` names. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly code: ErrorCode;
  readonly details: readonly ErrorDetail[] | undefined;

  constructor(code: ErrorCode, { message, details, cause }: ErrorContext = {}) {
    super(message ?? errors[code].message, { cause });
    this.code = code;
    this.details = details;
  }
}

export const refusalCodes = {
  "connection-not-found": "connection_not_found",
  "too-large": "content_too_large",
  unavailable: "nats_unavailable",
  unconfirmed: "unconfirmed",
  forbidden: "nats_forbidden",
  "no-jetstream": "history_unavailable",
  unusable: "history_unavailable",
  "worker-timeout": "worker_timeout",
  "malformed-reply": "malformed_reply",
} as const satisfies Record<PublishRefusal, ErrorCode>;

/** Error code and message of each refusal. */
export function describeRefusal({ reason, detail }: Omit<Refused, "ok">): { code: ErrorCode; message: string } {
  const code: ErrorCode = refusalCodes[reason];
  const { message } = errors[code];
  // Elsewhere the table's words say more than NATS' own.
  return {
    code,
    message: code === "history_unavailable" && detail !== undefined ? `${message} Why: ${detail}.` : message,
  };
}

/** @throws ApiError for a refusal. */
export function throwRefusal(refused: Omit<Refused, "ok">): never {
  const { code, message } = describeRefusal(refused);
  throw new ApiError(code, { message });
}

export function errorBody(code: ErrorCode, message: string = errors[code].message, details?: readonly ErrorDetail[]) {
  return { error: { code, message, ...(details && { details: [...details] }) } };
}

export function errorEntry(code: ErrorCode): ErrorEntry {
  return errors[code];
}

/** Error code for each error of Node's HTTP parser. */
export function parserErrorCode(error: unknown): ErrorCode {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return "headers_too_large";
    case "HPE_INVALID_URL":
      return "malformed_target";
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return "request_timeout";
    default:
      return "malformed_request";
  }
}
