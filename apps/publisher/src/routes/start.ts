import { createHash } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import type { Api, ApiParts, Env } from "../http/api.ts";
import { startPage, startStyle } from "../pages/start-page.ts";

const STYLE_HASH = createHash("sha256").update(startStyle).digest("base64");
const START_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  // The page has an empty icon.
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * Shows a page to a person who opens the publisher's address in a browser. Only browsers ask for HTML by name, so that
 * other clients of the classic route get its `ok`. The page holds no secret and needs no key.
 */
export function addStartPage(api: Api, { config, keys }: ApiParts): void {
  const showPage: MiddlewareHandler<Env> = async (c, next) => {
    const { incoming } = c.env;
    const isPage = incoming.method === "GET" && incoming.url === "/" && incoming.headers.accept?.includes("text/html");
    if (!isPage) return next();
    const { origin, hostname } = new URL(c.req.url);
    c.header("Content-Security-Policy", START_POLICY);
    c.header("Vary", "Accept");
    return c.html(startPage({ hasConsole: config.hasConsole, hasKeys: !keys.isOpen, origin, host: hostname }));
  };
  api.use("/", showPage);
}
