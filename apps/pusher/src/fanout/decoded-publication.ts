import { isUtf8 } from "node:buffer";
import type { BusMessage } from "@fanwire/bus";
import { decodeHeaderName, headerNames, parseConnectionAddress } from "@fanwire/protocol";
import type { Publication, PublicationText } from "../wire/publication.ts";
import type { LocalSubscription } from "./local-subscription.ts";

/** How a publication reached the connections that receive it. */
export type Origin = Partial<Pick<PublicationText, "position" | "resume" | "since" | "isRecovered">> & {
  /** Absent for a publication to one connection. */
  readonly subscription?: Pick<LocalSubscription, "kind" | "user" | "pattern" | "topicOf">;
};

/** Decodes a message once for all protocols, when the first of them needs its text. */
export class DecodedPublication implements Publication {
  readonly content: Uint8Array;
  readonly #message: BusMessage;
  readonly #origin: Origin;
  #text: PublicationText | undefined;

  constructor(message: BusMessage, origin: Origin) {
    this.content = message.data;
    this.#message = message;
    this.#origin = origin;
  }

  get text(): PublicationText {
    this.#text ??= decode(this.#message, this.#origin);
    return this.#text;
  }

  get target(): Publication["target"] {
    return this.#origin.subscription?.kind ?? "connection";
  }

  get user(): string | undefined {
    return this.#origin.subscription?.user;
  }

  get sender(): string | undefined {
    const header = this.#message.headers?.get(headerNames.user);
    return header ? decodeHeaderName(header) : undefined;
  }
}

function decode(message: BusMessage, origin: Origin): PublicationText {
  const { data, headers } = message;
  const { subscription, position, resume, since, isRecovered } = origin;
  const isBinary = !isUtf8(data);
  const topic = subscription?.topicOf(message);
  return {
    data: toBuffer(data).toString(isBinary ? "base64" : "utf8"),
    isBinary,
    event: headers?.get(headerNames.event) || undefined,
    id: headers?.get(headerNames.id) || undefined,
    topic,
    subscription: subscription?.pattern === topic ? undefined : subscription?.pattern,
    position,
    resume,
    since,
    isRecovered,
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
