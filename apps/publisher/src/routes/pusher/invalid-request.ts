import { ApiError, type ErrorCode } from "../../http/errors.ts";

const MAX_SHOWN = 60;

/** Where a problem is. */
export type Place = {
  readonly field: string;
  /** Index in a batch. */
  readonly index?: number | undefined;
};

/** Returns an error that names the field. SDKs show its message. */
export function invalid(
  { field, index }: Place,
  problem: string,
  code: Extract<ErrorCode, "invalid_pusher_request" | "event_too_large"> = "invalid_pusher_request",
): ApiError {
  const path = index === undefined ? field : `batch[${index}].${field}`;
  const detail = { ...(index !== undefined && { index }), field, message: problem };
  return new ApiError(code, { message: `\`${path}\` ${problem}.`, details: [detail] });
}

/** Returns text of a request for an error message, shortened. */
export function shown(text: string): string {
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}
