import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { causeOf } from "../connection/error-cause.ts";
import type { HistoryFailure } from "./history.ts";

/** JetStream's code while a cluster that has just started does not know all its nodes. */
const NO_SUITABLE_PEERS = 10005;

/** A failure, and whether a retry may soon succeed, for example during a leader election or a reconnect. */
export type Failed = HistoryFailure & { readonly isPassing: boolean };

/** `jetstream not enabled` and `jetstream not enabled for account`. */
const NOT_ENABLED: ReadonlySet<number> = new Set([10039, 10076]);

export function failed(reason: HistoryFailure["reason"], detail: string, isPassing: boolean): Failed {
  return { ok: false, reason, detail, isPassing };
}

/** Translates an error of the JetStream client, or of a request to JetStream. */
export function failureOf(error: unknown): Failed {
  // The class is not exported.
  if (error instanceof Error && error.name === "JetStreamNotEnabled") return noJetStream(error);
  if (error instanceof JetStreamApiError) return apiFailure(error);

  const cause = causeOf(error);
  if (cause instanceof errors.NoRespondersError) return noJetStream(cause);
  if (cause instanceof errors.TimeoutError) return failed("unusable", "JetStream does not answer", true);
  if (cause instanceof errors.PermissionViolationError) return failed("forbidden", cause.message, false);
  if (isOfConnection(cause)) return failed("unavailable", "the connection to NATS was lost", true);
  return failed("unusable", `unexpected error: ${cause instanceof Error ? cause.message : String(cause)}`, true);
}

/** Whether it is any error of the NATS client itself, which JetStream has no part in. */
function isOfConnection(error: unknown): boolean {
  return Object.values(errors).some((kind) => error instanceof kind);
}

function apiFailure(error: JetStreamApiError): Failed {
  if (NOT_ENABLED.has(error.code)) return noJetStream(error);
  // The next description creates it.
  if (error.code === JetStreamApiCodes.StreamNotFound)
    return failed("unusable", "the history stream does not exist", true);
  const isPassing = error.status === 503 || error.code === NO_SUITABLE_PEERS;
  return failed("unusable", `JetStream error: ${error.message}`, isPassing);
}

function noJetStream(error: Error): Failed {
  const isAccount = error.message.includes("account") || error.cause instanceof JetStreamApiError;
  const detail = isAccount ? "JetStream is not enabled for our NATS account" : "the NATS server runs without JetStream";
  return failed("no-jetstream", detail, false);
}
