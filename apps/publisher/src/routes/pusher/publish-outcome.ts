import type { Failure } from "../../cluster/failure.ts";
import type { PublishResult } from "../../cluster/publish-result.ts";
import { ApiError, type ErrorDetail } from "../../http/errors.ts";
import { describeFailure, throwFailure } from "../failures.ts";
import type { EventRequest } from "./event-request.ts";

/** Failures after which an event may have been published. */
const UNKNOWN: ReadonlySet<Failure["reason"]> = new Set(["unconfirmed", "worker-timeout", "malformed-reply"]);

/**
 * Does nothing if all events were published. `results` has one entry for each channel of each event.
 *
 * @throws ApiError that names the channels which certainly lack the event, and those for which that is unknown.
 */
export function throwOutcome(events: readonly EventRequest[], results: readonly PublishResult[]): void {
  const failures = results.filter((result) => !result.ok);
  const [first] = failures;
  if (first === undefined) return;
  const unknown = failures.find(({ reason }) => UNKNOWN.has(reason));
  const isSame = failures.length === results.length && failures.every(({ reason }) => reason === first.reason);
  if (isSame) throwFailure(first);
  const isPartial = failures.length < results.length || unknown !== undefined;
  // All failed for different reasons, and no event was published.
  if (!isPartial) throwFailure(first);
  const { cause } = unknown ?? first;
  throw new ApiError(unknown === undefined ? "partly_published" : "unconfirmed", {
    details: detailsOf(events, results),
    ...(cause !== undefined && { cause }),
  });
}

function detailsOf(events: readonly EventRequest[], results: readonly PublishResult[]): ErrorDetail[] {
  const places = events.flatMap(({ channels }, index) => channels.map(({ name }) => ({ index, name })));
  return places.flatMap(({ index, name }, at) => {
    const result = results[at];
    if (result === undefined || result.ok) return [];
    const outcome = UNKNOWN.has(result.reason) ? "perhaps published" : "not published";
    return {
      ...(events.length > 1 && { index }),
      field: "channel",
      message: `${name}: ${outcome}. ${describeFailure(result).message}`,
    };
  });
}
