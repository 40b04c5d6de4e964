import { headers as createHeaders, type MsgHdrs } from "@nats-io/transport-node";
import type { HeaderEntries } from "./bus.ts";

export function encodeHeaders(entries: HeaderEntries): MsgHdrs {
  const encoded = createHeaders();
  for (const [name, value] of entries) encoded.set(name, value);
  return encoded;
}

/** Like {@link encodeHeaders}; returns `undefined` without entries. */
export function encodeOptionalHeaders(entries: HeaderEntries | undefined): MsgHdrs | undefined {
  return entries === undefined || entries.length === 0 ? undefined : encodeHeaders(entries);
}

/** Returns the size on the wire: a first line, one line per header, an empty line. */
export function encodedHeaderBytes(headers: MsgHdrs): number {
  let bytes = "NATS/1.0\r\n\r\n".length;
  for (const [name, values] of headers) {
    for (const value of values) bytes += Buffer.byteLength(`${name}: ${value}\r\n`);
  }
  return bytes;
}
