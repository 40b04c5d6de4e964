import { headers as createHeaders, type MsgHdrs } from "@nats-io/transport-node";
import type { HeaderEntries } from "./bus.ts";

export function encodeHeaders(entries: HeaderEntries): MsgHdrs {
  const encoded = createHeaders();
  for (const [name, value] of entries) encoded.set(name, value);
  return encoded;
}

/** As {@link encodeHeaders}; `undefined` when there is nothing to say. */
export function encodeOptionalHeaders(entries: HeaderEntries | undefined): MsgHdrs | undefined {
  return entries === undefined || entries.length === 0 ? undefined : encodeHeaders(entries);
}

/** Size as on the wire: a first line, one line for each header, an empty line. */
export function encodedHeaderBytes(headers: MsgHdrs): number {
  let bytes = "NATS/1.0\r\n\r\n".length;
  for (const [name, values] of headers) {
    for (const value of values) bytes += Buffer.byteLength(`${name}: ${value}\r\n`);
  }
  return bytes;
}
