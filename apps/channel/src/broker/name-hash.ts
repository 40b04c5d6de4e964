import { createHash } from "node:crypto";

/** The last result. A message may refer to one name of ten megabytes many times. */
let last = { name: "", hash: digestOf("") };

/** Returns a digest that replaces a name too long for a NATS subject. One character of `name` is one byte. */
export function hashName(name: string): string {
  if (name !== last.name) last = { name, hash: digestOf(name) };
  return last.hash;
}

function digestOf(name: string): string {
  return createHash("sha256").update(name, "latin1").digest("hex");
}
