import type { CloseCode } from "@fanwire/protocol";
import { pusherCodes } from "./pusher-close-codes.ts";
import { parseQuery } from "./query.ts";

const SUPPORTED: ReadonlySet<string> = new Set(["5", "6", "7"]);
const PRINTABLE = /^[ -~]{0,100}$/;

/** Returns why the query of a Pusher client is refused; undefined if it is accepted. Unknown parameters are ignored. */
export function pusherQueryRefusal(query: string): CloseCode | undefined {
  const parameters = new Map(parseQuery(query).map(({ name, value }) => [name, value]));
  const protocol = parameters.get("protocol");
  if (protocol === undefined)
    return parameters.has("protocol") ? pusherCodes.unsupportedProtocol : pusherCodes.noProtocol;
  if (protocol === "") return pusherCodes.noProtocol;
  if (!SUPPORTED.has(protocol)) return pusherCodes.unsupportedProtocol;
  const areValid = ["client", "version"].every((name) => !parameters.has(name) || isPrintable(parameters.get(name)));
  return areValid ? undefined : pusherCodes.malformedVersion;
}

/** @param value undefined if it is not UTF-8. */
function isPrintable(value: string | undefined): boolean {
  return value !== undefined && PRINTABLE.test(value);
}
