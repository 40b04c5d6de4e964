import type { ContentfulStatusCode } from "hono/utils/http-status";

type ErrorEntry = {
  readonly status: ContentfulStatusCode;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
};

const RETRY = { "Retry-After": "1" };

/** All errors of the HTTP API. Their form is `{"error":{"code","message","details"?}}`. */
export const errors = {
  malformed_request: { status: 400, message: "The request is not valid HTTP, or its body is incomplete." },
  malformed_target: {
    status: 400,
    message: "The URL is not valid. Percent-encode its path and query as UTF-8.",
  },
  no_websockets: {
    status: 400,
    message: "A publisher serves no WebSockets. Connect to a pusher: ws://<host>:4236/ by default (PUSHER_PORT).",
  },
  malformed_json: { status: 400, message: "The body is not valid JSON. Send JSON encoded as UTF-8." },
  invalid_pusher_request: {
    status: 400,
    message: "The request is not valid for the Pusher HTTP API. See `details`.",
  },
  invalid_signature: {
    status: 401,
    message: "The request is not signed with a key of the app. Send auth_key, auth_timestamp and auth_signature.",
  },
  unauthorized: {
    status: 401,
    message: "No valid API key. Send Authorization: Bearer <key>.",
    headers: { "WWW-Authenticate": 'Bearer realm="fanwire"' },
  },
  forbidden: {
    status: 403,
    message: "The API key only reads. Use a key of PUBLISHER_API_KEYS without the prefix read:.",
  },
  foreign_request: {
    status: 403,
    message: "Requests from other sites or with a foreign Host header need an API key. Set PUBLISHER_API_KEYS.",
  },
  not_found: { status: 404, message: "Not found. See /docs." },
  pusher_off: {
    status: 404,
    message: "The Pusher HTTP API is off. Set FANWIRE_PUSHER_APPS to switch it on.",
  },
  console_off: {
    status: 404,
    message:
      "The console is off, because the publisher has no API keys and is not on loopback, or by PUBLISHER_CONSOLE. Set PUBLISHER_API_KEYS, or PUBLISHER_CONSOLE=on.",
  },
  unknown_app: { status: 404, message: "No Pusher app has this id. Check the id in the path and FANWIRE_PUSHER_APPS." },
  connection_not_found: { status: 404, message: "No such connection." },
  method_not_allowed: { status: 405, message: "Method not allowed. Use a method of the Allow header." },
  topic_limit: {
    status: 409,
    message: "The connection has reached its topic limit. Unsubscribe it from another topic first.",
  },
  request_timeout: { status: 408, message: "The request did not arrive in time. Send it again." },
  body_too_large: {
    status: 413,
    message: "The body is larger than PUBLISHER_MAX_BODY_BYTES. Send smaller batches or raise the limit.",
  },
  content_too_large: {
    status: 413,
    message: "The content is too large for NATS. Send less, or raise max_payload of the NATS server.",
  },
  event_too_large: {
    status: 413,
    message: "The data of the event is larger than the app allows. Send less, or raise its maxEventBytes.",
  },
  unsupported_media_type: { status: 415, message: "Send the body as Content-Type: application/json." },
  content_uncarried: {
    status: 422,
    message:
      "The client's protocol cannot carry this. Pusher clients receive UTF-8 text, and no event that begins with pusher: or pusher_internal:. Workerman processes receive frames of at most 10 MiB.",
  },
  invalid_request: { status: 422, message: "The request is not valid. See `details`." },
  too_many_requests: {
    status: 429,
    message: "Too many requests in flight. Retry later.",
    headers: RETRY,
  },
  too_many_traces: {
    status: 429,
    message: "This publisher has the maximum number of open traces. Close one, or use another publisher.",
    headers: RETRY,
  },
  headers_too_large: {
    status: 431,
    message: "The request line and headers are too large. Send large content with POST /v1/publications.",
  },
  internal: { status: 500, message: "Internal error. See the publisher's log." },
  nats_forbidden: {
    status: 500,
    message:
      "NATS permissions are missing. Allow the publisher's NATS user to publish to <prefix>.> and $JS.API.>, and to subscribe to _INBOX.>.",
  },
  malformed_reply: { status: 502, message: "Invalid reply from a worker. Run the same version of Fanwire everywhere." },
  nats_unavailable: { status: 503, message: "NATS is unreachable. Nothing was sent. Retry later.", headers: RETRY },
  history_unavailable: {
    status: 503,
    message: "The history is unavailable. Nothing was stored. Retry later.",
    headers: RETRY,
  },
  unconfirmed: {
    status: 503,
    message:
      "NATS did not confirm the publication. It may have been sent or stored. Retry it, with the same `id` if it has one.",
    headers: RETRY,
  },
  partly_published: {
    status: 503,
    message: "Only some of the events were published. `details` names the channels without. Send those again.",
    headers: RETRY,
  },
  worker_timeout: {
    status: 503,
    message: "A worker that may run has not answered. The request may have been carried out. Retry later.",
    headers: RETRY,
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errors;

export type ErrorDetail = {
  /** Index of the publication in a batch, from 0. */
  readonly index?: number;
  /** Path of the field, such as `target.connection`; absent if the problem concerns the whole request. */
  readonly field?: string;
  readonly message: string;
};

type ErrorContext = { readonly message?: string; readonly details?: readonly ErrorDetail[]; readonly cause?: unknown };

/** Ends a request with an error of {@link errors}. */
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
