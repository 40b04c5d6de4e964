import { ClientScript, clientScriptPaths } from "@fanwire/service";
import type { Api } from "../http/api.ts";

/** Serves the client for browsers, as pushers do, to pages that load it from the server of the API. It needs no key. */
export function addClientScriptRoutes(api: Api): void {
  const script = new ClientScript();
  for (const path of clientScriptPaths) {
    api.get(path, async (c) => {
      const { status, headers, body } = await script.answer({
        path,
        ifNoneMatch: c.req.header("If-None-Match") ?? "",
        acceptEncoding: c.req.header("Accept-Encoding") ?? "",
      });
      return new Response(body ?? null, { status, headers: Object.fromEntries(headers) });
    });
  }
}
