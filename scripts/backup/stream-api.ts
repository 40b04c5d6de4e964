import type { Bus } from "@fanwire/bus";

/** JetStream may write a snapshot to disk before it answers. */
const TIMEOUT_MS = 30_000;

export type StreamConfig = { readonly name: string; readonly description?: string } & Record<string, unknown>;
export type StreamInfo = {
  readonly config: StreamConfig;
  /** RFC 3339. A restored stream keeps it. */
  readonly created: string;
  readonly state: { readonly messages: number; readonly bytes: number; readonly last_seq: number };
};

type ApiReply = { readonly error?: { readonly code: number; readonly description: string } };

/** Sends a request to the JetStream API. @throws with the reason if it fails. */
export async function askJetStream<Reply>(bus: Bus, request: string, body: object = {}): Promise<Reply> {
  const answer = await bus.request(`$JS.API.${request}`, Buffer.from(JSON.stringify(body)), { timeoutMs: TIMEOUT_MS });
  if (!answer.ok) throw new Error(`JetStream does not answer ${request}: ${answer.reason}`);
  const reply = JSON.parse(Buffer.from(answer.message.data).toString()) as ApiReply;
  if (reply.error !== undefined) throw new Error(`${request}: ${reply.error.description}`);
  return reply as Reply;
}

/** Returns undefined if there is no such stream. */
export function findStream(bus: Bus, name: string): Promise<StreamInfo | undefined> {
  return unlessMissing(askJetStream<StreamInfo>(bus, `STREAM.INFO.${name}`));
}

/** Deletes a stream, which another program may delete at the same moment. */
export async function deleteStream(bus: Bus, name: string): Promise<void> {
  await unlessMissing(askJetStream(bus, `STREAM.DELETE.${name}`));
}

async function unlessMissing<Reply>(reply: Promise<Reply>): Promise<Reply | undefined> {
  try {
    return await reply;
  } catch (error) {
    if (/stream not found/.test((error as Error).message)) return undefined;
    throw error;
  }
}

/** Sends one part of a backup, and waits until the server has taken it. */
export async function sendPart(bus: Bus, subject: string, part: Uint8Array): Promise<string> {
  const answer = await bus.request(subject, part, { timeoutMs: TIMEOUT_MS });
  if (!answer.ok) throw new Error(`JetStream does not take the backup: ${answer.reason}`);
  return Buffer.from(answer.message.data).toString();
}
