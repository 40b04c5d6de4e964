import type { Msg } from "@nats-io/transport-node";
import type { BusMessage } from "./bus.ts";
import { HeaderBlock } from "./header-block.ts";

/** Fields of the client's message that hold the received bytes (nats-core `msg.ts`). */
type WireMessage = Msg & { readonly _msg: { readonly hdr: number }; readonly _rdata: Uint8Array };

/** Returns a message without headers unchanged; replaces the headers of others by ones that never throw. */
export function received(message: Msg): BusMessage {
  const headerBytes = (message as WireMessage)._msg.hdr;
  return headerBytes > 0 ? new MessageWithHeaders(message as WireMessage) : (message as Msg & { headers?: undefined });
}

class MessageWithHeaders implements BusMessage {
  readonly #message: WireMessage;
  #headers: HeaderBlock | undefined;

  constructor(message: WireMessage) {
    this.#message = message;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get reply(): string | undefined {
    return this.#message.reply;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  get headers(): HeaderBlock {
    this.#headers ??= new HeaderBlock(this.#message._rdata.subarray(0, this.#message._msg.hdr));
    return this.#headers;
  }

  respond(data: string): boolean {
    return this.#message.respond(data);
  }
}
