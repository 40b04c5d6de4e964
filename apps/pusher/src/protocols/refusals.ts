import type { HttpResponse } from "uWebSockets.js";
import { type CloseCode, closeCodes } from "@fanwire/protocol";
import type { GateRefusal, RefusalReason, RequestRefusal } from "../connections/admission.ts";

/** Refused without a look at what is asked for, as cheaply as possible: a WebSocket is not even upgraded. */
export type TurnedAway = {
  readonly outcome: "turned-away";
  readonly reason: GateRefusal | RequestRefusal;
  readonly message: string;
};
/** Refused after a look at the query or token. A WebSocket is upgraded first and told by a close code, which a page can read. */
export type Refused = { readonly outcome: "refused"; readonly reason: QueryRefusal; readonly message: string };

type QueryRefusal = Exclude<RefusalReason, Exclude<GateRefusal, "draining"> | RequestRefusal>;

type Refusal = { readonly status: string; readonly code: string; readonly message: string };

const UNAVAILABLE = "503 Service Unavailable";

const refusals: Record<RefusalReason, Refusal> = {
  draining: { status: UNAVAILABLE, code: "draining", message: "this worker is stopping: try again" },
  "connection-limit": { status: UNAVAILABLE, code: "connection_limit", message: "this worker is full: try again" },
  "handshake-rate": { status: UNAVAILABLE, code: "handshake_rate", message: "too many handshakes at once: try again" },
  "token-keys": { status: UNAVAILABLE, code: "token_unchecked", message: closeCodes.tokenUnchecked.reason },
  origin: { status: "403 Forbidden", code: "origin_forbidden", message: "pages from this origin may not connect" },
  path: { status: "404 Not Found", code: "not_found", message: "this protocol is not served here" },
  upgrade: {
    status: "426 Upgrade Required",
    code: "upgrade_required",
    message: "this is a Fanwire pusher: connect with a WebSocket client (RFC 6455, version 13), or read /sse",
  },
  handshake: {
    status: "400 Bad Request",
    code: "malformed_handshake",
    message: "Sec-WebSocket-Key must be sixteen bytes in base64",
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

/** `detail` replaces the reason's own sentence. */
export function turnedAway(reason: TurnedAway["reason"], detail?: string): TurnedAway {
  return { outcome: "turned-away", reason, message: detail ?? refusals[reason].message };
}

/** As {@link turnedAway}. */
export function refused(reason: QueryRefusal, detail?: string): Refused {
  return { outcome: "refused", reason, message: detail ?? closeCodeOf[reason].reason };
}

/** What an upgraded WebSocket is closed with. */
export function closeCodeFor({ reason, message }: Refused): CloseCode {
  return { ...closeCodeOf[reason], reason: message };
}

/** Whether the same request may be accepted a moment later, by this worker or by another one. */
export function isPassing({ reason }: Refused | TurnedAway): boolean {
  return refusals[reason].status === UNAVAILABLE;
}

/** Answers over HTTP with a status and our JSON error. `writeHeaders` may add headers of its own. */
export function answerRefusal(
  response: HttpResponse,
  refusal: Refused | TurnedAway,
  writeHeaders: (response: HttpResponse) => void = () => {},
): void {
  const { status, code } = refusals[refusal.reason];
  response.writeStatus(status).writeHeader("Content-Type", "application/json");
  if (isPassing(refusal)) response.writeHeader("Retry-After", "1");
  if (refusal.reason === "upgrade")
    response.writeHeader("Upgrade", "websocket").writeHeader("Sec-WebSocket-Version", "13");
  if (refusal.reason === "token") response.writeHeader("WWW-Authenticate", 'Bearer realm="fanwire"');
  writeHeaders(response);
  response.end(`${JSON.stringify({ error: { code, message: refusal.message } })}\n`, true);
}
