import type { Context } from "hono";
import { accepts } from "hono/accepts";
import type { Api, ApiParts } from "../http/api.ts";
import { type DocsFile, DocsFiles } from "../pages/docs-files.ts";
import { docsPage } from "../pages/docs-page.ts";
import { describeApi } from "./openapi.ts";

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
  const files = new DocsFiles();
  api.get("/openapi.json", (c) => c.json(document));
  api.get("/docs", async (c) => {
    const urls = await files.urls();
    c.header("Content-Security-Policy", DOCS_POLICY);
    return c.html(docsPage({ title: document.info.title, hasTryPage: config.hasTryPage, urls }));
  });
  api.get("/docs/:file", async (c) => {
    const file = await files.get(c.req.param("file"));
    return file === undefined ? c.notFound() : sendFile(c, file);
  });
}

function sendFile(c: Context, { type, version, plain, gzipped }: DocsFile): Response {
  const isGzipped = accepts(c, { header: "Accept-Encoding", supports: ["gzip"], default: "identity" }) === "gzip";
  // Each encoding has its own tag, as a strong ETag names bytes.
  const etag = isGzipped ? `"${version}-gzip"` : `"${version}"`;
  c.header("ETag", etag);
  c.header("Vary", "Accept-Encoding");
  // During a rolling update the page may be another publisher's and name another version. Such a response must not stay in caches.
  const isNamed = new URL(c.req.url).search === `?${version}`;
  c.header("Cache-Control", isNamed ? "public, max-age=31536000, immutable" : "no-cache");
  if (hasCopy(c.req.header("If-None-Match"), etag)) return c.body(null, 304);

  c.header("Content-Type", type);
  if (isGzipped) c.header("Content-Encoding", "gzip");
  // Not hono's `etag` middleware, which copies the body for each response: 10,000 stalled readers would hold 4 GB.
  return c.body(isGzipped ? gzipped : plain);
}

function hasCopy(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = ifNoneMatch?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags?.some((tag) => tag === etag || tag === "*") ?? false;
}
