import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Bus, epochFrom, isEarlierEpoch, markedDescription } from "@fanwire/bus";
import { DATA_FILE, type SavedStream } from "./archive.ts";
import { askJetStream, deleteStream, findStream, type StreamConfig, type StreamInfo, sendPart } from "./stream-api.ts";

const PART_BYTES = 131_072;

export type RestoreOptions = {
  /** Folder of the stream in the backup. */
  readonly folder: string;
  /** The description in the folder, whose archive was checked. */
  readonly saved: SavedStream;
  /** Whether the stream is the history, so that earlier positions must become invalid. */
  readonly isHistory: boolean;
};

/**
 * Restores a stream, and deletes the one that exists. A history gets a later epoch mark than the backup and the
 * replaced stream have, because the sequences after the backup will mean other publications. Returns its description.
 */
export async function restoreStream(bus: Bus, options: RestoreOptions): Promise<StreamInfo> {
  const { folder, saved, isHistory } = options;
  const { name } = saved.config;
  const existing = await findStream(bus, name);
  const config = isHistory ? markedConfig(saved, existing) : saved.config;
  if (existing !== undefined) await deleteStream(bus, name);
  const request = { config, state: saved.state };
  const { deliver_subject: target } = await askJetStream<{ deliver_subject: string }>(
    bus,
    `STREAM.RESTORE.${name}`,
    request,
  );
  await sendFile(bus, target, join(folder, DATA_FILE));
  // nats-server 2.9 takes the description of the request, so that the mark is there from the first moment.
  const restored = await askJetStream<StreamInfo>(bus, `STREAM.INFO.${name}`);
  if (restored.config.description === config.description) return restored;
  return askJetStream<StreamInfo>(bus, `STREAM.UPDATE.${name}`, {
    ...restored.config,
    description: config.description,
  });
}

function markedConfig(saved: SavedStream, existing: StreamInfo | undefined): StreamConfig {
  const [one, other] = [saved, existing ?? saved].map(({ config }) => config.description ?? "");
  const epoch = (description = "") => epochFrom(saved.created, description);
  const later = isEarlierEpoch(epoch(one), epoch(other)) ? other : one;
  return { ...saved.config, description: markedDescription(later ?? "", Date.now()) };
}

async function sendFile(bus: Bus, target: string, path: string): Promise<void> {
  await using file = await open(path);
  const part = Buffer.alloc(PART_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(part, 0, PART_BYTES);
    if (bytesRead === 0) break;
    const answer = await sendPart(bus, target, part.subarray(0, bytesRead));
    if (answer !== "") throw new Error(`JetStream refuses the backup: ${answer}`);
  }
  const { error } = JSON.parse(await sendPart(bus, target, Buffer.alloc(0))) as { error?: { description: string } };
  if (error !== undefined) throw new Error(`JetStream refuses the backup: ${error.description}`);
}
