import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const compress = promisify(gzip);

/** Scripts with characters beyond ASCII do not parse without their charset. */
export const SCRIPT = "text/javascript; charset=utf-8";
export const STYLE = "text/css; charset=utf-8";

type Source = { readonly type: string; read(): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> };

export type PageFile = {
  readonly type: string;
  /** Digest of the content. */
  readonly version: string;
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly gzipped: Uint8Array<ArrayBuffer>;
};

/** The files that one page loads. Reads and compresses them on first use and holds them, shared by all responses. */
export class PageFiles<Name extends string> {
  readonly #folder: string;
  readonly #sources: Readonly<Record<Name, Source>>;
  #files: Promise<ReadonlyMap<string, PageFile>> | undefined;

  /** `folder`: the path of the files, relative to the page. A file that is not in `sources` is not served. */
  constructor(folder: string, sources: Readonly<Record<Name, Source>>) {
    this.#folder = folder;
    this.#sources = sources;
  }

  /** @throws when a file cannot be read; the next call tries again. */
  async get(name: string): Promise<PageFile | undefined> {
    return (await this.#load()).get(name);
  }

  /**
   * Returns the files' URLs relative to the page, because a proxy may serve it below another path. Each URL has its
   * file's version.
   */
  async urls(): Promise<Record<Name, string>> {
    const files = [...(await this.#load())];
    // The names are those of the sources.
    return Object.fromEntries(
      files.map(([name, { version }]) => [name, `${this.#folder}/${name}?${version}`]),
    ) as Record<Name, string>;
  }

  #load(): Promise<ReadonlyMap<string, PageFile>> {
    this.#files ??= loadFiles(this.#sources).catch((error) => {
      this.#files = undefined;
      throw error;
    });
    return this.#files;
  }
}

async function loadFiles(sources: Readonly<Record<string, Source>>): Promise<ReadonlyMap<string, PageFile>> {
  const loading = Object.entries(sources).map(async ([name, source]) => [name, await loadFile(source)] as const);
  return new Map(await Promise.all(loading));
}

async function loadFile({ type, read }: Source): Promise<PageFile> {
  const plain = await read();
  const version = createHash("sha256").update(plain).digest("base64url").slice(0, 16);
  return { type, version, plain, gzipped: await compress(plain) };
}
