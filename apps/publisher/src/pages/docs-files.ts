import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { docsScript } from "./docs-script.ts";
import { docsStyle } from "./docs-style.ts";

const compress = promisify(gzip);

/** Swagger UI's script has characters beyond ASCII and does not parse without its charset. */
const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

/** The files that the page `/docs` loads. A file of the package that is not listed here is not served. */
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
const NAMES = Object.keys(SOURCES) as DocsFileName[];

export type DocsFile = {
  readonly type: string;
  /** Digest of the content. */
  readonly version: string;
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly gzipped: Uint8Array<ArrayBuffer>;
};

/** Reads and compresses the page's files on first use and holds them: 2.4 MB, shared by all responses. */
export class DocsFiles {
  #files: Promise<ReadonlyMap<string, DocsFile>> | undefined;

  /** @throws when a file cannot be read; the next call tries again. */
  async get(name: string): Promise<DocsFile | undefined> {
    return (await this.#load()).get(name);
  }

  /** Returns the files' URLs relative to the page, because a proxy may serve it below another path. Each URL has its file's version. */
  async urls(): Promise<Record<DocsFileName, string>> {
    const files = [...(await this.#load())];
    // The names are those of `SOURCES`.
    return Object.fromEntries(files.map(([name, { version }]) => [name, `docs/${name}?${version}`])) as Record<
      DocsFileName,
      string
    >;
  }

  #load(): Promise<ReadonlyMap<string, DocsFile>> {
    this.#files ??= loadFiles().catch((error) => {
      this.#files = undefined;
      throw error;
    });
    return this.#files;
  }
}

async function loadFiles(): Promise<ReadonlyMap<string, DocsFile>> {
  return new Map(await Promise.all(NAMES.map(async (name) => [name, await loadFile(name)] as const)));
}

async function loadFile(name: DocsFileName): Promise<DocsFile> {
  const { type, read } = SOURCES[name];
  const plain = await read();
  const version = createHash("sha256").update(plain).digest("base64url").slice(0, 16);
  return { type, version, plain, gzipped: await compress(plain) };
}

function readModule(url: string): Promise<Buffer<ArrayBuffer>> {
  return readFile(new URL(url));
}
