import type { BusMessage } from "./bus.ts";

/**
 * Returns the parsed content of a message. Returns undefined, which no schema accepts, for content that is not JSON.
 */
export function parseJson({ data }: Pick<BusMessage, "data">): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}
