import { errors } from "@nats-io/transport-node";

/** Returns the error inside the client's `RequestError`; any other error as it is. */
export function causeOf(error: unknown): unknown {
  return error instanceof errors.RequestError ? (error.cause ?? error) : error;
}
