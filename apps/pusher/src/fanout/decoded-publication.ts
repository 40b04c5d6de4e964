import { isUtf8 } from "node:buffer";
import type { BusMessage } from "@fanwire/bus";
import { headerNames, parseConnectionAddress } from "@fanwire/protocol";
import type { Publication } from "../wire/publication.ts";
import type { LocalSubscription } from "./local-subscription.ts";

/** How a publication reached the connections that receive it. */
export type Origin = {
  /** Absent for a publication to one connection. */
  readonly subscription?: Pick<LocalSubscription, "pattern" | "topicOf">;
  readonly position?: string | undefined;
  readonly resume?: string | undefined;
  readonly since?: string | undefined;
  readonly isRecovered?: boolean | undefined;
};

type Decoded = Pick<Publication, "data" | "isBinary" | "event" | "id" | "topic" | "subscription">;

/** Decodes a message once for all protocols, when the first of them needs more than the content. */
export class DecodedPublication implements Publication {
  readonly content: Uint8Array;
  readonly #message: BusMessage;
  readonly #origin: Origin;
  #decoded: Decoded | undefined;

  constructor(message: BusMessage, origin: Origin) {
    this.content = message.data;
    this.#message = message;
    this.#origin = origin;
  }

  get data(): string {
    return this.#decode().data;
  }

  get isBinary(): boolean {
    return this.#decode().isBinary;
  }

  get event(): string | undefined {
    return this.#decode().event;
  }

  get id(): string | undefined {
    return this.#decode().id;
  }

  get topic(): string | undefined {
    return this.#decode().topic;
  }

  get subscription(): string | undefined {
    return this.#decode().subscription;
  }

  get position(): string | undefined {
    return this.#origin.position;
  }

  get resume(): string | undefined {
    return this.#origin.resume;
  }

  get since(): string | undefined {
    return this.#origin.since;
  }

  get isRecovered(): boolean | undefined {
    return this.#origin.isRecovered;
  }

  #decode(): Decoded {
    this.#decoded ??= decode(this.#message, this.#origin.subscription);
    return this.#decoded;
  }
}

function decode(message: BusMessage, subscription: Origin["subscription"]): Decoded {
  const { data, headers } = message;
  const isBinary = !isUtf8(data);
  const topic = subscription?.topicOf(message);
  return {
    data: toBuffer(data).toString(isBinary ? "base64" : "utf8"),
    isBinary,
    event: headers?.get(headerNames.event) || undefined,
    id: headers?.get(headerNames.id) || undefined,
    topic,
    subscription: subscription?.pattern === topic ? undefined : subscription?.pattern,
  };
}

function toBuffer(content: Uint8Array): Buffer {
  return content instanceof Buffer ? content : Buffer.from(content.buffer, content.byteOffset, content.byteLength);
}

/** Returns the id of the connection on this worker that must not receive a publication. */
export function exceptedId(message: BusMessage, workerId: string): number | undefined {
  const except = message.headers?.get(headerNames.except);
  if (!except) return undefined;
  const address = parseConnectionAddress(except);
  return address?.workerId === workerId ? address.connectionId : undefined;
}
