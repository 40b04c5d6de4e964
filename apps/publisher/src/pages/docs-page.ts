import { html } from "hono/html";
import type { ApiDocument } from "../http/api.ts";
import type { DocsFileName } from "./docs-files.ts";
import { docsOverview } from "./docs-overview.ts";

type DocsPageParts = {
  readonly document: ApiDocument;
  readonly hasConsole: boolean;
  /** URLs of the page's files, relative to the page. */
  readonly urls: Readonly<Record<DocsFileName, string>>;
};

/**
 * Returns the page in which Swagger UI shows the OpenAPI document. Its policy allows no inline script and no inline
 * style.
 */
export function docsPage({ document, hasConsole, urls }: DocsPageParts) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="The HTTP API of this Fanwire cluster.">
<title>${document.info.title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${urls["swagger-ui.css"]}">
<link rel="stylesheet" href="${urls["page.css"]}">
<script defer src="${urls["page.js"]}"></script>
</head>
<body>
${hasConsole && html`<nav><a href="console">Console: try the cluster, and see its connections and topics</a></nav>`}
${docsOverview(document)}
<div id="swagger-ui" hidden data-src="${urls["swagger-ui-bundle.js"]}"></div>
<noscript>The forms of this page need JavaScript. It shows <a href="openapi.json">openapi.json</a>.</noscript>
</body>
</html>`;
}
