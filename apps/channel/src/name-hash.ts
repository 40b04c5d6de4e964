import { createHash } from "node:crypto";

/** What stands for a name too long for a NATS subject; one character of `name` is one byte. */
export function hashName(name: string): string {
  return createHash("sha256").update(name, "latin1").digest("hex");
}
