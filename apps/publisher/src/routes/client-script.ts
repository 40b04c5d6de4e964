import { ClientScript, clientScriptPaths } from "@fanwire/service";
import type { Api } from "../http/api.ts";

/** Serves the browser client, as pushers do, so that pages can load it from the publisher. It needs no key. */
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
