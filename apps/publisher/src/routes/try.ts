import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Api, ApiParts } from "../http/api.ts";
import { tryPage } from "../pages/try-page.ts";
import { tryStyle } from "../pages/try-style.ts";

/** Entry modules of the packages that the browser loads: built code, or source code if Node runs the source. */
const ENTRIES = {
  client: () => new URL(import.meta.resolve("@fanwire/client")),
  page: () => new URL(import.meta.resolve("@fanwire/try-page")),
};
type Package = keyof typeof ENTRIES;
/** Excludes tests, declarations and other folders. */
const MODULE_NAME = /^[a-z-]+\.(js|ts)$/;

/** Serves a development page for trying the cluster. The page needs no key; publishing with it does. */
export function addTryRoutes(api: Api, { config, keys }: ApiParts): void {
  if (!config.hasTryPage) return;
  api.get("/try", (c) => {
    const importMap = JSON.stringify({ imports: { "@fanwire/client": `./${entryOf("client")}` } });
    c.header("Content-Security-Policy", policy(importMap));
    return c.html(tryPage({ importMap, script: entryOf("page"), hasKeys: !keys.isOpen }));
  });
  for (const name of ["client", "page"] as const) {
    api.get(`/try/${name}/:module`, async (c) => {
      const source = await moduleSource(name, c.req.param("module"));
      if (source === undefined) return c.notFound();
      return c.body(source, 200, { "Content-Type": "text/javascript; charset=utf-8" });
    });
  }
}

/** Allows connections to any pusher, because the reader enters its address. */
function policy(importMap: string): string {
  const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  return [
    "default-src 'none'",
    `script-src 'self' ${hash(importMap)}`,
    `style-src ${hash(tryStyle)}`,
    "connect-src 'self' ws: wss:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Relative to the page, which a proxy may serve below another path. */
function entryOf(name: Package): string {
  return `try/${name}/${ENTRIES[name]().pathname.split("/").at(-1)}`;
}

/** Returns `undefined` if the module does not exist. */
async function moduleSource(name: Package, module: string): Promise<string | undefined> {
  if (!MODULE_NAME.test(module)) return undefined;
  const text = await readFile(new URL(module, ENTRIES[name]()), "utf8").catch(() => undefined);
  return text === undefined || module.endsWith(".js") ? text : withoutTypes(text);
}

/** Needed only when Node runs the source; esbuild is a development dependency. */
async function withoutTypes(source: string): Promise<string> {
  const { transform } = await import("esbuild");
  return (await transform(source, { loader: "ts", target: "es2022" })).code;
}
