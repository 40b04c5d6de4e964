import { isUtf8 } from "node:buffer";
import { CommandError } from "../io.ts";

/** Maximum characters of a token that pushers accept. */
const MAX_TOKEN_LENGTH = 32_768;

/** base64url as pushers accept it: no padding, no other characters, and no bits after the last byte. */
const BASE64URL = /^(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?$/;

/**
 * Checks what pushers require of the text of a token, where jose is more lenient.
 *
 * @throws CommandError with the reason for which pushers refuse it.
 */
export function checkFormat(token: string): void {
  if (token.length > MAX_TOKEN_LENGTH) {
    throw refused(`it has ${token.length} characters, the maximum is ${MAX_TOKEN_LENGTH}`);
  }
  const parts = token.split(".");
  if (parts.length !== 3) throw new CommandError("This is no JWT.");
  if (!parts.every((part) => BASE64URL.test(part))) throw refused("its parts are not base64url without padding");
  const [header, payload] = parts.slice(0, 2).map((part) => parseObject(Buffer.from(part, "base64url")));
  if (header === undefined || payload === undefined) throw new CommandError("This is no JWT.");
  if (header.crit !== undefined) throw refused("its header has crit, which names extensions that pushers do not know");
}

function parseObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  if (!isUtf8(bytes)) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString().replace(/^\uFEFF/, ""));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function refused(reason: string): CommandError {
  return new CommandError(`Pushers refuse this token: ${reason}.`);
}
