import type { Api, ApiParts } from "../http/api.ts";
import { ApiError } from "../http/errors.ts";
import { consoleFiles } from "../pages/console-files.ts";
import { consolePage } from "../pages/console-page.ts";
import { sendPageFile } from "./page-file.ts";

const CONSOLE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // The icon is an empty `data:` URL.
  "img-src data:",
  // The user may enter any pusher's address. If its WebSocket fails, the page asks over HTTP why.
  "connect-src 'self' ws: wss: http: https:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Serves the console. The page holds no secret and needs no key. The API that it calls needs one. */
export function addConsoleRoutes(api: Api, { config, keys }: ApiParts): void {
  if (!config.hasConsole) {
    for (const path of ["/console", "/try"]) {
      api.get(path, () => {
        throw new ApiError("console_off");
      });
    }
    return;
  }
  const files = consoleFiles();
  api.get("/console", async (c) => {
    c.header("Content-Security-Policy", CONSOLE_POLICY);
    return c.html(consolePage({ hasKeys: !keys.isOpen, urls: await files.urls() }));
  });
  api.get("/console/:file", async (c) => {
    const file = await files.get(c.req.param("file"));
    return file === undefined ? c.notFound() : sendPageFile(c, file);
  });
  // Old address, kept for bookmarks. Relative, because a proxy may serve it below another path.
  api.get("/try", (c) => c.redirect(`console${new URL(c.req.url).search}#try`));
}
