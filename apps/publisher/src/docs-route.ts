import { createHash } from "node:crypto";
import { docsPage } from "./docs-page.ts";
import { docsStyle } from "./docs-style.ts";
import type { Api, ApiParts } from "./http.ts";
import { describeApi } from "./openapi.ts";

const STYLE_HASH = createHash("sha256").update(docsStyle).digest("base64");
const DOCS_POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The description of the API, for programs and for people. It holds no secret and needs no key. */
export function addDocsRoutes(api: Api, { config, keys }: ApiParts): void {
  const document = describeApi(api, { hasKeys: !keys.isOpen });
  api.get("/openapi.json", (c) => c.json(document));
  api.get("/docs", (c) => {
    c.header("Content-Security-Policy", DOCS_POLICY);
    return c.html(docsPage(document, { origin: new URL(c.req.url).origin, hasTryPage: config.hasTryPage }));
  });
}
