import type { HttpResponse } from "uWebSockets.js";
import { type CloseCode, closeCodes } from "@fanwire/protocol";
import { clientScriptPaths } from "@fanwire/service";
import type { GateRefusal, RefusalReason, RequestRefusal } from "../connections/admission.ts";

/** Refused before the query is read, as cheaply as possible: a WebSocket is not upgraded. */
export type TurnedAway = {
  readonly outcome: "turned-away";
  readonly reason: GateRefusal | RequestRefusal;
  readonly message: string;
};
/** Refused because of the query or token. A WebSocket is upgraded and closed with a code, which pages can read. */
export type Refused = { readonly outcome: "refused"; readonly reason: QueryRefusal; readonly message: string };

type QueryRefusal = Exclude<RefusalReason, Exclude<GateRefusal, "draining"> | RequestRefusal>;

type Refusal = { readonly status: string; readonly code: string; readonly message: string };

/** Path of the client for browsers of some release. */
const VERSIONED_CLIENT = /^\/client-[^/]*\.js$/;

const UNAVAILABLE = "503 Service Unavailable";

const refusals: Record<RefusalReason, Refusal> = {
  draining: { status: UNAVAILABLE, code: "draining", message: "this worker is stopping: try again" },
  "connection-limit": { status: UNAVAILABLE, code: "connection_limit", message: "this worker is full: try again" },
  "handshake-rate": {
    status: UNAVAILABLE,
    code: "handshake_rate",
    message: "too many handshakes at the same time: try again",
  },
  "token-keys": { status: UNAVAILABLE, code: "token_unchecked", message: closeCodes.tokenUnchecked.reason },
  origin: { status: "403 Forbidden", code: "origin_forbidden", message: "pages of this origin must not connect" },
  path: { status: "404 Not Found", code: "not_found", message: "this protocol is not served here" },
  app: { status: "404 Not Found", code: "not_found", message: "no app has this key" },
  upgrade: {
    status: "426 Upgrade Required",
    code: "upgrade_required",
    message: "connect to this Fanwire pusher with a WebSocket client (RFC 6455, version 13), or read /sse",
  },
  handshake: {
    status: "400 Bad Request",
    code: "malformed_handshake",
    message: "Sec-WebSocket-Key must be 16 bytes in base64",
  },
  malformed: { status: "400 Bad Request", code: "malformed_query", message: closeCodes.malformedQuery.reason },
  token: { status: "401 Unauthorized", code: "unauthorized", message: closeCodes.tokenRefused.reason },
  topic: { status: "403 Forbidden", code: "topic_forbidden", message: closeCodes.topicForbidden.reason },
};

const closeCodeOf: Record<QueryRefusal, CloseCode> = {
  draining: closeCodes.draining,
  malformed: closeCodes.malformedQuery,
  token: closeCodes.tokenRefused,
  "token-keys": closeCodes.tokenUnchecked,
  topic: closeCodes.topicForbidden,
};

/** Returns a refusal. `detail` replaces the standard message of the reason. */
export function turnedAway(reason: TurnedAway["reason"], detail?: string): TurnedAway {
  return { outcome: "turned-away", reason, message: detail ?? refusals[reason].message };
}

export function refused(reason: QueryRefusal, detail?: string): Refused {
  return { outcome: "refused", reason, message: detail ?? closeCodeOf[reason].reason };
}

/** Returns the close code of an upgraded WebSocket. */
export function closeCodeFor({ reason, message }: Refused): CloseCode {
  return { ...closeCodeOf[reason], reason: message };
}

/** Returns whether this worker or another one may accept the same request a moment later. */
export function isTemporary({ reason }: Refused | TurnedAway): boolean {
  return refusals[reason].status === UNAVAILABLE;
}

type AnswerOptions = {
  /** Whether the method is HEAD. Its response has no body. */
  readonly isHead?: boolean;
  /** Adds headers. */
  readonly writeHeaders?: () => void;
};

/** Answers over HTTP with a status and a JSON error. */
export function answerRefusal(
  response: HttpResponse,
  refusal: Refused | TurnedAway,
  { isHead = false, writeHeaders }: AnswerOptions = {},
): void {
  const { status, code } = refusals[refusal.reason];
  const writeAll = () => {
    if (isTemporary(refusal)) response.writeHeader("Retry-After", "1");
    if (refusal.reason === "upgrade")
      response.writeHeader("Upgrade", "websocket").writeHeader("Sec-WebSocket-Version", "13");
    if (refusal.reason === "token") response.writeHeader("WWW-Authenticate", 'Bearer realm="fanwire"');
    writeHeaders?.();
  };
  answerError(response, { status, code, message: refusal.message }, { isHead, writeHeaders: writeAll });
}

/** Answers with a JSON error. Closes the TCP connection. */
export function answerError(
  response: HttpResponse,
  { status, code, message }: Refusal,
  { isHead = false, writeHeaders }: AnswerOptions,
): void {
  response.writeStatus(status).writeHeader("Content-Type", "application/json");
  writeHeaders?.();
  // uWebSockets.js takes a response of another length for unfinished.
  if (isHead) response.endWithoutBody(0, true);
  else response.end(`${JSON.stringify({ error: { code, message } })}\n`, true);
}

/** Returns the message for a path of the client of another release, or `undefined` for any other path. */
export function otherClientAt(path: string): string | undefined {
  return VERSIONED_CLIENT.test(path) ? `the client of this pusher is at ${clientScriptPaths.join(" and ")}` : undefined;
}
