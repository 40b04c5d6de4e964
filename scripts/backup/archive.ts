import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { StreamInfo } from "./stream-api.ts";

export const INFO_FILE = "backup.json";
export const DATA_FILE = "stream.tar.s2";

/** Size and digest of an archive, so that a damaged one is noticed before it replaces anything. */
export type Archive = { readonly bytes: number; readonly sha256: string };

/** Description of a saved stream, and of the archive beside it. */
export type SavedStream = Pick<StreamInfo, "config" | "created" | "state"> & { readonly archive: Archive };

/** Describes an archive from its parts. */
export class ArchiveDigest {
  readonly #hash: Hash = createHash("sha256");
  #bytes = 0;

  add(part: Uint8Array): void {
    this.#hash.update(part);
    this.#bytes += part.length;
  }

  /** Must be called once, after the last part. */
  end(): Archive {
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }
}

/** Reads the description in a folder of one stream. @throws if the archive is not the one that was saved. */
export async function readBackup(folder: string): Promise<SavedStream> {
  try {
    const saved = JSON.parse(await readFile(join(folder, INFO_FILE), "utf8")) as SavedStream;
    if (saved.config.name !== basename(folder)) throw new Error(`it holds the stream ${saved.config.name}`);
    const digest = new ArchiveDigest();
    for await (const part of createReadStream(join(folder, DATA_FILE))) digest.add(part);
    const { bytes, sha256 } = digest.end();
    if (sha256 === saved.archive.sha256) return saved;
    throw new Error(`the archive has ${bytes} of ${saved.archive.bytes} bytes, or other ones`);
  } catch (cause) {
    throw new Error(`${folder} is damaged: ${(cause as Error).message}. Nothing was changed.`, { cause });
  }
}
