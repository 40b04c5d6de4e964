import { type ApiError, JetStreamApiError } from "@nats-io/jetstream";
import { MESSAGE_TOO_LARGE, parseStoreReply } from "../connection/store-reply.ts";
import { failureOf } from "./failures.ts";
import type { HistoryFailure, HistoryFailureReason } from "./history.ts";

/** The result of one attempt to store. */
export type AppendReply =
  | { readonly ok: true; readonly sequence: number; readonly isDuplicate: boolean }
  | (HistoryFailure<HistoryFailureReason | "too-large"> & {
      /** Whether a retry may soon succeed. */
      readonly isPassing: boolean;
      /** False only when it is known that nothing was stored. */
      readonly mayBeStored: boolean;
    });

/** The first message with the same id has been proposed to the cluster and is not stored yet. */
const DUPLICATE_IN_PROCESS = 10_158;
/** `store failed`: for a limit of the stream before anything is stored, or for a fault of the disk in the middle. */
const STORE_FAILED = 10_077;
/**
 * Refusals that JetStream decides before it stores anything. Some concern all streams: not available, no resources, no
 * storage, not enabled, too many requests. Others concern this one: not found, sealed, a header that it does not take.
 */
const NOTHING_STORED: ReadonlySet<number> = new Set([
  ...[10_003, 10_008, 10_009, 10_023, 10_039, 10_047, 10_059, 10_076, 10_109, 10_165, 10_166, 10_167],
  MESSAGE_TOO_LARGE,
]);
const TOO_MANY_REQUESTS = 10_167;

/** Parses the reply to a message that was to be stored in `stream`. */
export function parseAppendReply(text: string, stream: string): AppendReply {
  const reply = parseStoreReply(text, stream);
  // Its members are read with defaults, because any subscriber may have sent it.
  if (reply.kind === "refused") return refused(reply.error as Partial<ApiError> as ApiError);
  if (reply.kind !== "stored")
    return { ...unusable(reply.detail), isPassing: reply.kind === "invalid", mayBeStored: true };
  // Servers before 2.10 reply so while the first copy of the message is in process.
  if (reply.sequence === 0) return IN_PROCESS;
  return { ok: true, sequence: reply.sequence, isDuplicate: reply.isDuplicate };
}

const IN_PROCESS: AppendReply = {
  ...unusable("JetStream is still storing a publication with this id"),
  isPassing: true,
  mayBeStored: true,
};

function refused(error: ApiError): AppendReply {
  if (error.err_code === DUPLICATE_IN_PROCESS) return IN_PROCESS;
  const failure = failureOf(new JetStreamApiError(error));
  const mayBeStored = !isDecidedBefore(error);
  if (error.err_code === MESSAGE_TOO_LARGE) return { ...failure, reason: "too-large", mayBeStored };
  return { ...failure, isPassing: failure.isPassing || error.err_code === TOO_MANY_REQUESTS, mayBeStored };
}

/** Other errors may occur at any time: one replica may have stored what another could not. */
function isDecidedBefore({ err_code: code = 0, description = "" }: Partial<ApiError>): boolean {
  if (code === STORE_FAILED) return description.startsWith("maximum ");
  return NOTHING_STORED.has(code) || (code === 0 && description === "raft: not leader");
}

function unusable(detail: string): HistoryFailure<"unusable"> {
  return { ok: false, reason: "unusable", detail };
}
