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

/** Decodes a message once for all protocols, when the first of them needs text. */
export class DecodedPublication implements Publication {
  readonly content: Uint8Array;
  readonly #message: BusMessage;
  readonly #origin: Origin;
  #isBinary: boolean | undefined;
  #data: string | undefined;

  constructor(message: BusMessage, origin: Origin) {
    this.content = message.data;
    this.#message = message;
    this.#origin = origin;
  }

  get isBinary(): boolean {
    this.#isBinary ??= !isUtf8(this.content);
    return this.#isBinary;
  }

  get data(): string {
    this.#data ??= toBuffer(this.content).toString(this.isBinary ? "base64" : "utf8");
    return this.#data;
  }

  get event(): string | undefined {
    return this.#message.headers?.get(headerNames.event) || undefined;
  }

  get id(): string | undefined {
    return this.#message.headers?.get(headerNames.id) || undefined;
  }

  get topic(): string | undefined {
    return this.#origin.subscription?.topicOf(this.#message);
  }

  get subscription(): string | undefined {
    const pattern = this.#origin.subscription?.pattern;
    return pattern === undefined || pattern === this.topic ? undefined : pattern;
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
