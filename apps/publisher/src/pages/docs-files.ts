import { readFile } from "node:fs/promises";
import { docsScript } from "./docs-script.ts";
import { docsStyle } from "./docs-style.ts";
import { PageFiles, SCRIPT, STYLE } from "./page-files.ts";

const SOURCES = {
  "swagger-ui-bundle.js": {
    type: SCRIPT,
    read: () => readModule(import.meta.resolve("swagger-ui-dist/swagger-ui-bundle.js")),
  },
  "swagger-ui.css": { type: STYLE, read: () => readModule(import.meta.resolve("swagger-ui-dist/swagger-ui.css")) },
  "page.js": { type: SCRIPT, read: () => Buffer.from(docsScript) },
  "page.css": { type: STYLE, read: () => Buffer.from(docsStyle) },
} as const;

export type DocsFileName = keyof typeof SOURCES;

/** Returns the files of the page `/docs`: 2.4 MB with their compressed forms. */
export function docsFiles(): PageFiles<DocsFileName> {
  return new PageFiles("docs", SOURCES);
}

function readModule(url: string): Promise<Buffer<ArrayBuffer>> {
  return readFile(new URL(url));
}
