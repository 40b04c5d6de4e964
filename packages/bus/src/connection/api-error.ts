import { JetStreamApiError } from "@nats-io/jetstream";

/** JetStream's code for a new stream whose name belongs to a stream of another configuration. */
const STREAM_NAME_IN_USE = 10_058;
/** JetStream's code for a new stream with subjects of another one, perhaps of one with its name that is being created. */
const SUBJECTS_OVERLAP = 10_065;

/** Returns whether JetStream refused a request with that code. */
export function isApiError(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}

/** Returns whether a stream was not created, perhaps because another service created it first or at the same time. */
export function mayExist(error: unknown): boolean {
  return isApiError(error, STREAM_NAME_IN_USE) || isApiError(error, SUBJECTS_OVERLAP);
}
