import type { HttpResponse } from "uWebSockets.js";
import type { Connection, ConnectionState } from "../connections/connection.ts";
import type { Counters, EndedBy } from "../connections/counters.ts";

type Options = {
  readonly response: HttpResponse;
  readonly state: ConnectionState;
  readonly counters: Counters;
  /** Maximum unsent bytes. A connection over it is closed. */
  readonly unsentLimit: number;
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
  #unsentBytes = 0;
  #hasEnded = false;

  constructor(options: Options) {
    this.#options = options;
    this.#response = options.response;
    this.#remoteAddress = options.response.getRemoteAddressAsText().slice(0);
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
    let isTaken = false;
    this.#response.cork(() => {
      isTaken = this.#response.write(frame);
    });
    // An upper bound, because uWebSockets.js does not report how much of a response it buffers.
    this.#unsentBytes = isTaken ? 0 : this.#unsentBytes + Buffer.byteLength(frame);
    return isTaken ? 1 : 0;
  }

  cork(writing: () => void): void {
    if (!this.#hasEnded) this.#response.cork(writing);
  }

  end(code: number, reason: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
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
