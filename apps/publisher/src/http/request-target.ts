import type { HttpBindings } from "@hono/node-server";
import { tryDecode } from "hono/utils/url";

/**
 * Returns the path for the choice of a route, decoded as hono does it. Reads the request line, because `URL` drops a
 * topic named `.` or `..` in any encoding.
 */
export function routedPath(request: Request, options?: { readonly env?: Partial<HttpBindings> }): string {
  const target = options?.env?.incoming?.url ?? "";
  // Proxies may send a whole URL.
  const path = target.startsWith("/") ? pathOf(target) : new URL(request.url).pathname;
  // An encoded percent sign is decoded later, together with the parameters.
  return path.includes("%") ? tryDecode(path.replaceAll("%25", "%2525"), decodeURI) : path;
}

/** Whether all percent escapes of the target are valid and together are UTF-8. */
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
