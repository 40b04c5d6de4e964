import { mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BusMessage, NatsBus } from "@fanwire/bus";
import { type Archive, ArchiveDigest, DATA_FILE, INFO_FILE, type SavedStream } from "./archive.ts";
import { askJetStream, type StreamInfo } from "./stream-api.ts";

const CHUNK_BYTES = 131_072;
/** Maximum time without a part. */
const SILENT_MS = 30_000;

type Part = { readonly data: Uint8Array; readonly status: string; taken(): void };

/**
 * Saves a stream, with its consumers, to a new folder: its description and the archive that the server makes. Returns
 * the description. The folder exists only if everything is in it.
 */
export async function saveStream(bus: NatsBus, name: string, folder: string): Promise<SavedStream> {
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  const parts = new Parts();
  const inbox = bus.createInbox();
  const subscription = bus.subscribe(inbox, (message) => parts.push(message));
  try {
    const request = { deliver_subject: inbox, chunk_size: CHUNK_BYTES };
    const info = await askJetStream<StreamInfo>(bus, `STREAM.SNAPSHOT.${name}`, request);
    const archive = await writeParts(join(unfinished, DATA_FILE), parts);
    const { config, state, created } = await askJetStream<StreamInfo>(bus, `STREAM.INFO.${name}`);
    // The snapshot has the state of its moment.
    const saved = { config, created, state: info.state ?? state, archive };
    await writeFile(join(unfinished, INFO_FILE), `${JSON.stringify(saved, undefined, 2)}\n`);
    await rename(unfinished, folder);
    return saved;
  } finally {
    subscription.unsubscribe();
  }
}

async function writeParts(path: string, parts: Parts): Promise<Archive> {
  const digest = new ArchiveDigest();
  const file = await open(path, "w");
  try {
    for (;;) {
      const { data, status, taken } = await parts.next();
      if (/^[45]/.test(status)) throw new Error(`JetStream ended the backup with status ${status}`);
      if (data.length === 0) break;
      await file.writeFile(data);
      digest.add(data);
      // The server waits for this after a few megabytes.
      taken();
    }
    await file.sync();
    return digest.end();
  } finally {
    await file.close();
  }
}

/** Parts of a snapshot that have arrived. The server sends a bounded number ahead. */
class Parts {
  readonly #arrived: Part[] = [];
  #wake: () => void = () => {};

  push(message: BusMessage): void {
    const { status = "" } = (message.headers ?? {}) as { status?: string | number };
    this.#arrived.push({ data: message.data, status: String(status), taken: () => void message.respond("") });
    this.#wake();
  }

  async next(): Promise<Part> {
    if (this.#arrived.length === 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("JetStream sends no further part of the backup")), SILENT_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const part = this.#arrived.shift();
    if (part === undefined) throw new Error("no part has arrived");
    return part;
  }
}
