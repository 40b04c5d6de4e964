import { html } from "hono/html";
import type { ConsoleFileName } from "./console-files.ts";

type ConsolePageParts = {
  readonly hasKeys: boolean;
  /** URLs of the page's files, relative to the page. */
  readonly urls: Readonly<Record<ConsoleFileName, string>>;
};

/** Returns the page that `packages/console` fills. Its policy allows no inline script and no inline style. */
export function consolePage({ hasKeys, urls }: ConsolePageParts) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Try a Fanwire cluster, and see its workers, connections, users, topics and publications.">
<title>Fanwire console</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${urls["console.css"]}">
<script type="module" src="${urls["console.js"]}"></script>
</head>
<body>
<div id="console" data-keys="${hasKeys ? "required" : "none"}"></div>
<noscript>The console needs JavaScript. The <a href="docs">HTTP API</a> has everything that it shows.</noscript>
</body>
</html>`;
}
