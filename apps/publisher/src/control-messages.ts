import type { BusMessage } from "@fanwire/bus";
import type { ControlRequest } from "@fanwire/protocol";

export function encodeRequest(request: ControlRequest): Uint8Array {
  return Buffer.from(JSON.stringify(request));
}

/** `undefined`, which no schema accepts, for what is no JSON. */
export function parseJson(message: BusMessage): unknown {
  try {
    return JSON.parse(Buffer.from(message.data).toString());
  } catch {
    return undefined;
  }
}
