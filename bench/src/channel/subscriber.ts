import { connect, type Socket } from "node:net";
import { decodeSequence, isContent } from "../content.ts";
import { contentOffset, eventBytes, subscribeFrame } from "./wire.ts";

/** One buffer for all sockets, because each read is parsed before the next one. */
const readBuffer = Buffer.allocUnsafe(256 * 1024);

/** A peer that counts its events and checks their order. */
export class Subscriber {
  /** Number of events received in order. */
  next = 0;
  faults = 0;
  isReady = false;
  readonly #socket: Socket;
  readonly #onEvents: () => void;
  /** Beginning of an incomplete frame. */
  #partial = Buffer.alloc(0);

  constructor(port: number, onEvents: () => void) {
    this.#onEvents = onEvents;
    this.#socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (count) => {
          this.#read(count);
          return true;
        },
      },
    });
    this.#socket.once("connect", () => this.#socket.write(subscribeFrame));
    this.#socket.once("error", () => this.faults++);
  }

  #read(count: number): void {
    const chunk = readBuffer.subarray(0, count);
    const bytes = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk]);
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = bytes.readUInt32BE(at);
      if (bytes.length - at < length) break;
      if (length === eventBytes) this.#receive(bytes, at + contentOffset);
      else this.isReady = true;
      at += length;
    }
    this.#partial = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
    this.#onEvents();
  }

  #receive(bytes: Buffer, at: number): void {
    if (!isContent(bytes, at, at + 100) || decodeSequence(bytes, at) !== this.next) this.faults++;
    this.next++;
  }
}
