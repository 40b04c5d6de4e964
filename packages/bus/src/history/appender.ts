import { setTimeout as delay } from "node:timers/promises";
import { messageId, streamHeaderNames } from "@fanwire/protocol";
import { errors, type MsgHdrs, nuid } from "@nats-io/transport-node";
import type { HeaderEntries } from "../connection/bus.ts";
import { causeOf } from "../connection/error-cause.ts";
import { encodedHeaderBytes, encodeHeaders } from "../connection/headers.ts";
import type { NatsBus } from "../connection/nats-bus.ts";
import { type AppendReply, parseAppendReply } from "./append-reply.ts";
import { failed, failureOf } from "./failures.ts";
import type { AppendOutcome } from "./history.ts";
import type { StreamWatch } from "./stream-state.ts";

/** Maximum wait for the acknowledgement of one attempt. */
const ATTEMPT_MS = 2_000;
const PAUSE_MS = 250;
/** A cluster that lost the history's leader takes 4 to 8 s to elect another. */
const DEADLINE_MS = 10_000;
/** Deadline when there was no connection at all. */
const CONNECTION_DEADLINE_MS = 3_000;

type Sent = AppendReply & { readonly ok: true };
type NotConfirmed = AppendReply & { readonly ok: false };

/** Stores publications and retries after temporary failures. */
export class HistoryAppender {
  readonly #bus: NatsBus;
  readonly #watch: StreamWatch;
  readonly #stream: string;
  #isStopping = false;

  constructor(bus: NatsBus, watch: StreamWatch, stream: string) {
    this.#bus = bus;
    this.#watch = watch;
    this.#stream = stream;
  }

  async append(
    subject: string,
    content: Uint8Array,
    headers: HeaderEntries = [],
    id: string | undefined,
  ): Promise<AppendOutcome> {
    // Without a message id, a retry could store the publication twice.
    const entry = [streamHeaderNames.messageId, id === undefined ? nuid.next() : messageId(subject, id)] as const;
    const encoded = encodeHeaders([...headers, entry]);
    const maxBytes = this.#bus.maxPayloadBytes();
    if (maxBytes > 0 && content.length + encodedHeaderBytes(encoded) > maxBytes) {
      return { ok: false, reason: "too-large", detail: `NATS accepts ${maxBytes} bytes, headers included` };
    }

    const sent = await this.#sendUntilStored(subject, content, encoded);
    if (!sent.ok) {
      return sent.mayBeStored
        ? { ok: false, reason: "unconfirmed", detail: sent.detail }
        : { ok: false, reason: sent.reason, detail: sent.detail };
    }
    const epoch = await this.#watch.epochAt(sent.sequence, sent.isDuplicate);
    if (epoch === undefined) return { ok: false, reason: "unconfirmed", detail: "the history cannot be described" };
    return {
      ok: true,
      position: { epoch, sequence: sent.sequence },
      // Nobody else knows an id that we generated, so a duplicate can only be our own retry.
      duplicate: id !== undefined && sent.isDuplicate,
    };
  }

  stop(): void {
    this.#isStopping = true;
  }

  async #sendUntilStored(subject: string, content: Uint8Array, headers: MsgHdrs): Promise<Sent | NotConfirmed> {
    const startedAt = performance.now();
    let mayBeStored = false;
    let hasConnection = false;
    for (;;) {
      const { isUsable } = this.#bus;
      hasConnection ||= isUsable;
      const attempt = isUsable ? await this.#send(subject, content, headers) : notConnected(this.#bus.wasConnected);
      if (attempt.ok) return attempt;

      mayBeStored ||= attempt.mayBeStored;
      const elapsedMs = performance.now() - startedAt + PAUSE_MS;
      const isOver = elapsedMs > (hasConnection ? DEADLINE_MS : CONNECTION_DEADLINE_MS);
      const isForgotten = mayBeStored && elapsedMs > this.#watch.duplicateWindowMs;
      if (!attempt.isPassing || isOver || isForgotten || this.#isStopping) {
        return { ...attempt, mayBeStored };
      }
      await delay(PAUSE_MS);
    }
  }

  async #send(subject: string, content: Uint8Array, headers: MsgHdrs): Promise<AppendReply> {
    // The usual path has no await: publications of one tick must be sent in their order.
    if (this.#watch.current === undefined) {
      const opened = await this.#watch.refresh();
      if (!opened.ok) return { ...opened, mayBeStored: false };
    }
    const answer = await this.#request(subject, content, headers);
    if (!answer.ok) this.#watch.doubt();
    return answer;
  }

  async #request(subject: string, content: Uint8Array, headers: MsgHdrs): Promise<AppendReply> {
    try {
      const reply = await this.#bus.connection.request(subject, content, { timeout: ATTEMPT_MS, headers });
      return parseAppendReply(reply.string(), this.#stream);
    } catch (error) {
      return notConfirmed(error);
    }
  }
}

/** A lost connection is usually restored soon. The first connection may take any time. */
function notConnected(isPassing: boolean): NotConfirmed {
  return { ...failed("unavailable", "NATS cannot be reached", isPassing), mayBeStored: false };
}

function notConfirmed(error: unknown): NotConfirmed {
  // Nobody subscribed to the subject when the message was sent, so it cannot have been stored.
  if (causeOf(error) instanceof errors.NoRespondersError) {
    return { ...failed("unusable", "the history has no leader", true), mayBeStored: false };
  }
  const failure = failureOf(error);
  return { ...failure, mayBeStored: failure.reason !== "forbidden" };
}
