import type { Api, ApiParts } from "../http/api.ts";
import { docsFiles } from "../pages/docs-files.ts";
import { docsPage } from "../pages/docs-page.ts";
import { describeApi } from "./openapi.ts";
import { sendPageFile } from "./page-file.ts";

const DOCS_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // Swagger UI's style sheet has its icons as data URLs.
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Serves the OpenAPI document and a page that shows it. They hold no secret and need no key. */
export function addDocsRoutes(api: Api, { config, keys }: ApiParts): void {
  const document = describeApi(api, { hasKeys: !keys.isOpen });
  const files = docsFiles();
  api.get("/openapi.json", (c) => c.json(document));
  api.get("/docs", async (c) => {
    const urls = await files.urls();
    c.header("Content-Security-Policy", DOCS_POLICY);
    return c.html(docsPage({ document, hasConsole: config.hasConsole, urls }));
  });
  api.get("/docs/:file", async (c) => {
    const file = await files.get(c.req.param("file"));
    return file === undefined ? c.notFound() : sendPageFile(c, file);
  });
}
