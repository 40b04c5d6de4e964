import { createHash } from "node:crypto";

/** Returns a digest that replaces a name too long for a NATS subject. One character of `name` is one byte. */
export function hashName(name: string): string {
  return createHash("sha256").update(name, "latin1").digest("hex");
}
