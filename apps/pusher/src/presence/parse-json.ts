import type { BusMessage } from "@fanwire/bus";

/** Returns undefined, which no schema accepts, for text that is not JSON. */
export function parseJson({ data }: BusMessage): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}
