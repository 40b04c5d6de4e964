import { JetStreamApiError } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { HeaderBlock } from "../connection/header-block.ts";

/** One message of a stream, from its leader. */
export type StoredMessage = {
  readonly sequence: number;
  readonly subject: string;
  readonly content: Uint8Array;
  readonly headers: HeaderBlock | undefined;
  readonly time: Date;
};

/** Selects the message at a sequence, the first of a filter from a sequence on, or the newest of a filter. */
export type MessageQuery =
  | { readonly seq: number }
  | { readonly seq: number; readonly next_by_subj: string }
  | { readonly last_by_subj: string };

type ApiMessage = { subject: string; seq: number; hdrs?: string; data?: string; time: string };
type ApiReply = { message?: ApiMessage; error?: { code: number; err_code: number; description: string } };

const NO_MESSAGE_FOUND = 10037;

/**
 * Requests one message from the leader of a stream; returns null when it has none. The request of the JetStream client
 * is not used, because it cannot decode every header that nats-server stores.
 *
 * @throws errors of the NATS and JetStream clients.
 */
export async function leaderMessage(
  connection: Pick<NatsConnection, "request">,
  stream: string,
  query: MessageQuery,
  timeoutMs: number,
): Promise<StoredMessage | null> {
  const subject = `$JS.API.STREAM.MSG.GET.${stream}`;
  const answer = await connection.request(subject, JSON.stringify(query), { timeout: timeoutMs });
  const { message, error } = answer.json<ApiReply>();
  if (error?.err_code === NO_MESSAGE_FOUND) return null;
  if (error !== undefined || message === undefined) {
    throw new JetStreamApiError(error ?? { code: 500, err_code: 0, description: "reply without a message" });
  }
  const { seq: sequence, subject: stored, hdrs, data = "", time } = message;
  const headers = hdrs === undefined ? undefined : new HeaderBlock(Buffer.from(hdrs, "base64"));
  return { sequence, subject: stored, content: Buffer.from(data, "base64"), headers, time: new Date(time) };
}
