import type { Failure, FailureReason } from "../cluster/failure.ts";
import { ApiError, type ErrorCode, errors } from "../http/errors.ts";

/** Error code of each failure of the cluster. */
export const failureCodes = {
  "connection-not-found": "connection_not_found",
  uncarried: "content_uncarried",
  "topic-limit": "topic_limit",
  busy: "too_many_requests",
  "too-large": "content_too_large",
  "too-many-traces": "too_many_traces",
  unavailable: "nats_unavailable",
  unconfirmed: "unconfirmed",
  forbidden: "nats_forbidden",
  "no-jetstream": "history_unavailable",
  unusable: "history_unavailable",
  "worker-timeout": "worker_timeout",
  "malformed-reply": "malformed_reply",
} as const satisfies Record<FailureReason, ErrorCode>;

export function describeFailure({ reason, detail }: Failure): { code: ErrorCode; message: string } {
  const code: ErrorCode = failureCodes[reason];
  const { message } = errors[code];
  // For other codes, the table's message is more useful than the detail.
  const isUseful = code === "history_unavailable" && detail !== undefined;
  return { code, message: isUseful ? `${message} Reason: ${detail}.` : message };
}

/** @throws ApiError always. */
export function throwFailure(failure: Failure): never {
  const { code, message } = describeFailure(failure);
  throw new ApiError(code, { message, cause: failure.cause });
}
