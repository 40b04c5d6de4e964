import type { BusMessage } from "@fanwire/bus";

/** A message of NATS with this content and these headers. */
export function busMessage(
  content: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  headerBytes = 0,
): BusMessage {
  const data = typeof content === "string" ? Buffer.from(content) : content;
  const get = (name: string) => headers[name] ?? "";
  return { subject: "s", data, headers: { bytes: headerBytes, get }, respond: () => false };
}
