import type { HttpBindings } from "@hono/node-server";
import { tryDecode } from "hono/utils/url";

/**
 * The path that routes are chosen by, decoded as hono does it. Taken from the request line: on its way through `URL` a topic named `.` or
 * `..` is lost, however it is encoded.
 */
export function routedPath(request: Request, options?: { readonly env?: Partial<HttpBindings> }): string {
  const target = options?.env?.incoming?.url ?? "";
  // Proxies may ask with a whole URL.
  const path = target.startsWith("/") ? pathOf(target) : new URL(request.url).pathname;
  // An encoded percent sign is decoded later, with the parameters.
  return path.includes("%") ? tryDecode(path.replaceAll("%25", "%2525"), decodeURI) : path;
}

/** Whether every escape of the target is one, and all of them together are UTF-8. */
export function isDecodable(target: string): boolean {
  if (!target.includes("%")) return true;
  try {
    decodeURIComponent(target);
    return true;
  } catch {
    return false;
  }
}

function pathOf(target: string): string {
  const end = target.search(/[?#]/);
  return end < 0 ? target : target.slice(0, end);
}
