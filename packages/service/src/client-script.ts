import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { acceptsGzip, matchesTag } from "./http-headers.ts";
import { VERSION } from "./version.ts";

/** Path of the client that changes with each release. */
const CURRENT_PATH = "/client.js";
/** Path of the client of this release alone. */
const VERSIONED_PATH = `/client-${VERSION}.js`;

/** Paths at which pushers and publishers serve the client for browsers. */
export const clientScriptPaths = [CURRENT_PATH, VERSIONED_PATH] as const;

type ClientScriptRequest = {
  readonly path: (typeof clientScriptPaths)[number];
  readonly ifNoneMatch: string;
  readonly acceptEncoding: string;
};

export type ClientScriptAnswer = {
  readonly status: 200 | 304;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Undefined with status 304. */
  readonly body: Uint8Array<ArrayBuffer> | undefined;
  /** Length of the body that status 200 has. */
  readonly contentLength: number;
};

type Script = {
  /** Whether Node runs built code, so that a version has the same bytes permanently. */
  readonly isBuilt: boolean;
  /** Digest of the content. */
  readonly digest: string;
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly gzipped: Uint8Array<ArrayBuffer>;
};

/** Pages read the client again after this time, and pushers answer 304. */
const CURRENT_SECONDS = 300;
const YEAR_SECONDS = 31_536_000;

/** Answers requests for the client as one ES module. It is read on first use and shared by all answers. */
export class ClientScript {
  #script: Promise<Script> | undefined;

  /** @throws when the client cannot be read or bundled; the next call tries again. */
  async answer({ path, ifNoneMatch, acceptEncoding }: ClientScriptRequest): Promise<ClientScriptAnswer> {
    const script = await this.#load();
    const isGzipped = acceptsGzip(acceptEncoding);
    // Each encoding has its own tag, as a strong ETag names bytes.
    const tag = isGzipped ? `"${script.digest}-gzip"` : `"${script.digest}"`;
    const headers: [string, string][] = [
      ["ETag", tag],
      ["Vary", "Accept-Encoding"],
      ["Cache-Control", cacheControl(path, script)],
      // Browsers load modules of another origin only with this header. The client holds no secret.
      ["Access-Control-Allow-Origin", "*"],
      ["X-Content-Type-Options", "nosniff"],
    ];
    const body = isGzipped ? script.gzipped : script.plain;
    const contentLength = body.length;
    if (matchesTag(ifNoneMatch, tag)) return { status: 304, headers, body: undefined, contentLength };

    headers.push(["Content-Type", "text/javascript; charset=utf-8"]);
    if (isGzipped) headers.push(["Content-Encoding", "gzip"]);
    return { status: 200, headers, body, contentLength };
  }

  async #load(): Promise<Script> {
    this.#script ??= loadScript();
    try {
      const script = await this.#script;
      // Source code may change while the service runs.
      if (!script.isBuilt) this.#script = undefined;
      return script;
    } catch (error) {
      this.#script = undefined;
      throw error;
    }
  }
}

function cacheControl(path: ClientScriptRequest["path"], { isBuilt }: Script): string {
  if (!isBuilt) return "no-cache";
  return path === VERSIONED_PATH ? `public, max-age=${YEAR_SECONDS}, immutable` : `public, max-age=${CURRENT_SECONDS}`;
}

async function loadScript(): Promise<Script> {
  const entry = new URL(import.meta.resolve("@fanwire/client"));
  const isBuilt = entry.pathname.endsWith(".js");
  const plain = isBuilt ? await readFile(new URL("browser/client.js", entry)) : await bundle(fileURLToPath(entry));
  const digest = createHash("sha256").update(plain).digest("base64url").slice(0, 16);
  return { isBuilt, digest, plain, gzipped: await promisify(gzip)(plain) };
}

/** Needed only when Node runs the source; esbuild is a development dependency. */
async function bundle(entry: string): Promise<Uint8Array<ArrayBuffer>> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    sourcemap: "inline",
    write: false,
  });
  return new Uint8Array(outputFiles[0]?.contents ?? []);
}
