import type { Context } from "hono";
import { accepts } from "hono/accepts";
import type { PageFile } from "../pages/page-files.ts";

/** Responds with the file, gzipped if the browser accepts that, or with 304 if the browser's copy is current. */
export function sendPageFile(c: Context, { type, version, plain, gzipped }: PageFile): Response {
  const isGzipped = accepts(c, { header: "Accept-Encoding", supports: ["gzip"], default: "identity" }) === "gzip";
  // Each encoding has its own tag, as a strong ETag names bytes.
  const etag = isGzipped ? `"${version}-gzip"` : `"${version}"`;
  c.header("ETag", etag);
  c.header("Vary", "Accept-Encoding");
  // During a rolling update, another publisher's page may ask for a version that this one does not have. Caches must
  // not keep that answer.
  const asksForThisVersion = new URL(c.req.url).search === `?${version}`;
  c.header("Cache-Control", asksForThisVersion ? "public, max-age=31536000, immutable" : "no-cache");
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
