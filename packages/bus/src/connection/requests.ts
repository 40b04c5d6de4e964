import {
  errors,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Payload,
  type PermissionViolationError,
} from "@nats-io/transport-node";
import type { BusMessage, BusSubscription, GatherOptions } from "./bus.ts";
import { HeaderBlock } from "./header-block.ts";

/** Status of the reply by which NATS reports that nobody is subscribed to the subject. */
const NO_RESPONDERS = 503;
/** Default of nats.js. */
const DEFAULT_TIMEOUT_MS = 1_000;

type Waiting = {
  readonly subject: string;
  onReply(message: BusMessage): void;
  onFailure(error: Error): void;
};
type RequestArguments = Parameters<NatsConnection["request"]>;
type Answer = Msg & BusMessage;
type RequestsParts = {
  /** Throws when there is no connection, or none any longer. */
  readonly publish: NatsConnection["publish"];
  createInbox(): string;
  /** Subscribes without decoding headers: nats.js cannot decode every header that nats-server passes on. */
  subscribe(subject: string, receiver: (message: BusMessage) => void): BusSubscription;
};

/**
 * Requests over one inbox, like those of nats.js. The handler of nats.js decodes the headers of every reply without
 * content. A header that it cannot decode throws inside its reader, and then the connection receives nothing more.
 * Any NATS client may send such a reply, so all requests of the bus and of the JetStream client go through here.
 */
export class Requests {
  readonly #parts: RequestsParts;
  readonly #waiting = new Map<string, Waiting>();
  #inbox: string | undefined;
  #count = 0;

  constructor(parts: RequestsParts) {
    this.#parts = parts;
  }

  /**
   * Resolves with the first reply. Rejects, with the errors of nats.js, after the timeout, when the subject has no
   * responders and when NATS forbids to publish to it.
   */
  request = (
    ...[subject, payload, { timeout, headers } = { timeout: DEFAULT_TIMEOUT_MS }]: RequestArguments
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const end = this.#open(subject, payload, headers, {
        onReply: (message) => {
          stop();
          if (reportsNoResponders(message)) reject(new errors.NoRespondersError(subject));
          else resolve(answerOf(message));
        },
        onFailure: (error) => {
          stop();
          reject(error);
        },
      });
      const timer = setTimeout(() => {
        end();
        reject(new errors.TimeoutError());
      }, timeout);
      const stop = () => {
        clearTimeout(timer);
        end();
      };
    });

  /** Gathers replies; see `Bus.gather`. Rejects when NATS forbids to publish to the subject. */
  gather(subject: string, payload: Uint8Array, options: GatherOptions): Promise<BusMessage[]> {
    const { maxWaitMs, stallMs, signal, onReply } = options;
    const messages: BusMessage[] = [];
    return new Promise((resolve, reject) => {
      let stalled: NodeJS.Timeout | undefined;
      const end = this.#open(subject, payload, undefined, {
        onReply: (message) => {
          if (reportsNoResponders(message)) {
            if (stallMs === undefined) onReply?.(message);
            else finish();
            return;
          }
          messages.push(message);
          clearTimeout(stalled);
          if (stallMs !== undefined) stalled = setTimeout(finish, stallMs);
          onReply?.(message);
        },
        onFailure: (error) => finish(error),
      });
      const longest = setTimeout(() => finish(), maxWaitMs);
      const onAbort = () => finish();
      signal?.addEventListener("abort", onAbort, { once: true });
      const finish = (failure?: Error) => {
        clearTimeout(stalled);
        clearTimeout(longest);
        signal?.removeEventListener("abort", onAbort);
        end();
        if (failure) reject(failure);
        else resolve(messages);
      };
    });
  }

  /** Must be called when NATS forbids to publish to a subject. Rejects the requests to it. */
  forbid(error: PermissionViolationError): void {
    for (const waiting of [...this.#waiting.values()]) {
      if (waiting.subject === error.subject) waiting.onFailure(error);
    }
  }

  /** Must be called when the connection is closed permanently. */
  stop(): void {
    for (const waiting of [...this.#waiting.values()]) waiting.onFailure(new errors.ClosedConnectionError());
  }

  /** Publishes and passes on replies until the returned function is called. Throws when there is no connection. */
  #open(
    subject: string,
    payload: Payload | undefined,
    headers: MsgHdrs | undefined,
    receiver: Omit<Waiting, "subject">,
  ): () => void {
    this.#inbox ??= this.#openInbox();
    this.#count++;
    const token = this.#count.toString(36);
    this.#parts.publish(subject, payload, {
      reply: `${this.#inbox}.${token}`,
      ...(headers && { headers }),
    });
    this.#waiting.set(token, { subject, ...receiver });
    return () => this.#waiting.delete(token);
  }

  #openInbox(): string {
    const inbox = this.#parts.createInbox();
    this.#parts.subscribe(`${inbox}.*`, (message) => {
      this.#waiting.get(message.subject.slice(inbox.length + 1))?.onReply(message);
    });
    return inbox;
  }
}

function reportsNoResponders({ data, headers }: BusMessage): boolean {
  return data.length === 0 && headers instanceof HeaderBlock && headers.status === NO_RESPONDERS;
}

/**
 * Returns the members of the client's message that callers read: `data`, `string()`, `json()`, and headers that never
 * throw.
 */
function answerOf(message: BusMessage): Answer {
  const text = () => Buffer.from(message.data).toString();
  const answer = {
    subject: message.subject,
    reply: message.reply,
    data: message.data,
    headers: message.headers,
    respond: (data: string) => message.respond(data),
    string: text,
    json: (reviver?: (key: string, value: unknown) => unknown) => JSON.parse(text(), reviver),
  };
  return answer as unknown as Answer; // the members above are all that the JetStream client and we use
}
