import type { HttpResponse } from "uWebSockets.js";
import type { Connection, ConnectionState } from "../connections/connection.ts";
import type { Counters, EndedBy } from "../connections/counters.ts";

/**
 * Maximum bytes that are written at once, so that unsent bytes fall while a client reads a large frame. A piece fits with
 * its length into the buffer of uWebSockets.js for corked writes, of 16 KiB. By its source, it could lose a larger one.
 */
const PIECE_BYTES = 16_000;

type Options = {
  readonly response: HttpResponse;
  readonly state: ConnectionState;
  readonly counters: Counters;
  /** Maximum unsent bytes. A connection over it is closed. */
  readonly unsentLimit: number;
  /** Bytes that clients ignore. */
  readonly comment: string;
  /** Returns the last bytes of a connection that is closed with a code. */
  farewell(code: number, reason: string): string;
};

/** An HTTP response that is written to like a WebSocket. */
export class ResponseConnection implements Connection {
  /** Called once, when the connection has closed, with the code and the reason. */
  onEnd: (code: number, reason: string) => void = () => {};

  readonly #options: Options;
  readonly #response: HttpResponse;
  readonly #remoteAddress: ArrayBuffer;
  /** Everything after the bytes that uWebSockets.js buffers. */
  #waiting: Uint8Array[] = [];
  /** Bytes that uWebSockets.js buffers. It does not report how many of them it has sent meanwhile. */
  #bufferedBytes = 0;
  /** Those bytes, and those that wait. */
  #unsentBytes = 0;
  #hasEnded = false;

  constructor(options: Options) {
    this.#options = options;
    this.#response = options.response;
    this.#remoteAddress = options.response.getRemoteAddressAsText().slice(0);
    options.response.onWritable(() => {
      this.keepAlive();
      return true;
    });
  }

  getUserData(): ConnectionState {
    return this.#options.state;
  }

  getBufferedAmount(): number {
    return this.#unsentBytes;
  }

  getRemoteAddressAsText(): ArrayBuffer {
    return this.#remoteAddress;
  }

  send(frame: string | Uint8Array): number {
    if (this.#hasEnded) return 2;
    if (this.#unsentBytes > this.#options.unsentLimit) {
      this.#options.counters.drops++;
      this.#options.counters.ended["unsent-bytes"]++;
      this.#abort("unsent-bytes");
      this.#response.close();
      return 2;
    }
    const bytes = typeof frame === "string" ? Buffer.from(frame) : frame;
    if (bytes.length <= PIECE_BYTES) this.#add(bytes);
    else this.#addInPieces(bytes);
    return this.#unsentBytes === 0 ? 1 : 0;
  }

  #addInPieces(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; from += PIECE_BYTES) this.#add(bytes.subarray(from, from + PIECE_BYTES));
  }

  #add(piece: Uint8Array): void {
    if (this.#unsentBytes > 0) this.#waiting.push(piece);
    else if (this.#write(piece)) return;
    else this.#bufferedBytes = piece.length;
    this.#unsentBytes += piece.length;
  }

  /** Writes a comment, or what waits as far as the socket takes it. Must be called in intervals of some seconds. */
  keepAlive(): void {
    if (this.#hasEnded) return;
    if (this.#unsentBytes === 0) this.send(this.#options.comment);
    else if (this.#write(this.#nextByte())) this.#sendWaiting();
  }

  /**
   * Returns something short to write next. uWebSockets.js sends what it buffers only along with something else, and
   * reports only then whether it has sent everything. A comment must not be inside a frame.
   */
  #nextByte(): string | Uint8Array {
    const next = this.#waiting[0];
    if (next === undefined) return this.#options.comment;
    if (next.length > 1) this.#waiting[0] = next.subarray(1);
    else this.#waiting.shift();
    this.#bufferedBytes++;
    return next.subarray(0, 1);
  }

  /** Must be called when uWebSockets.js has sent what it buffered. */
  #sendWaiting(): void {
    this.#unsentBytes -= this.#bufferedBytes;
    this.#bufferedBytes = 0;
    let written = 0;
    for (const piece of this.#waiting) {
      written++;
      if (this.#write(piece)) this.#unsentBytes -= piece.length;
      else {
        this.#bufferedBytes = piece.length;
        break;
      }
    }
    this.#waiting = this.#waiting.slice(written);
  }

  /** Returns false if uWebSockets.js still buffers something that was written before, or a part of this. */
  #write(piece: string | Uint8Array): boolean {
    let isTaken = false;
    this.#response.cork(() => {
      isTaken = this.#response.write(piece);
    });
    return isTaken;
  }

  /** Does not cork the response, because two pieces do not fit into the buffer of uWebSockets.js. */
  cork(writing: () => void): void {
    if (!this.#hasEnded) writing();
  }

  end(code: number, reason: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const piece of this.#waiting) this.#write(piece);
    this.#response.cork(() => this.#response.end(this.#options.farewell(code, reason)));
    this.onEnd(code, reason);
  }

  /** Must be called when the client has closed. The response must not be touched after that. */
  onAborted(): void {
    if (!this.#hasEnded) this.#abort("");
  }

  close(): void {
    if (this.#hasEnded) return;
    this.#abort("");
    this.#response.close();
  }

  #abort(reason: EndedBy | ""): void {
    this.#hasEnded = true;
    this.onEnd(1006, reason);
  }
}
