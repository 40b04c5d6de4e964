import type { HttpResponse } from "uWebSockets.js";
import { type CloseCode, closeAdvice } from "@fanwire/protocol";
import type { Connection, ConnectionState } from "../connections/connection.ts";
import type { Counters } from "../connections/counters.ts";
import { sseEvent, sseRetry } from "../wire/encoding.ts";

/** Readers reconnect after a random time between these, so that those of a worker do not return as one. */
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 5_000;

export function randomRetryMs(): number {
  return MIN_RETRY_MS + Math.floor(Math.random() * (MAX_RETRY_MS - MIN_RETRY_MS));
}

/** One event stream, with the manners of a WebSocket. */
export class SseConnection implements Connection {
  /** Called once, when it has ended for whatever reason. */
  onEnd: (code: number) => void = () => {};

  readonly #response: HttpResponse;
  readonly #state: ConnectionState;
  readonly #counters: Counters;
  readonly #unsentLimit: number;
  readonly #remoteAddress: ArrayBuffer;
  #unsentBytes = 0;
  #hasEnded = false;

  constructor(options: {
    readonly response: HttpResponse;
    readonly state: ConnectionState;
    readonly counters: Counters;
    readonly unsentLimit: number;
  }) {
    this.#response = options.response;
    this.#state = options.state;
    this.#counters = options.counters;
    this.#unsentLimit = options.unsentLimit;
    this.#remoteAddress = options.response.getRemoteAddressAsText().slice(0);
  }

  getUserData(): ConnectionState {
    return this.#state;
  }

  getBufferedAmount(): number {
    return this.#unsentBytes;
  }

  getRemoteAddressAsText(): ArrayBuffer {
    return this.#remoteAddress;
  }

  send(frame: string | Uint8Array): number {
    if (this.#hasEnded) return 2;
    if (this.#unsentBytes > this.#unsentLimit) {
      this.#counters.drops++;
      this.#counters.ended["unsent-bytes"]++;
      this.close();
      return 2;
    }
    let isTaken = false;
    this.#response.cork(() => {
      isTaken = this.#response.write(frame);
    });
    // uWebSockets.js does not say how much of a response it holds. Since it last held nothing, it was at most this.
    this.#unsentBytes = isTaken ? 0 : this.#unsentBytes + Buffer.byteLength(frame);
    return isTaken ? 1 : 0;
  }

  cork(writing: () => void): void {
    if (!this.#hasEnded) this.#response.cork(writing);
  }

  /** A final code is told as an event; an EventSource reconnects even so, and is refused then. */
  end(code: number, reason: string): void {
    if (this.#hasEnded) return;
    const farewell =
      closeAdvice(code) === "stop"
        ? sseEvent({
            event: "fanwire.close",
            data: JSON.stringify({ code, reason } satisfies Omit<CloseCode, "advice">),
          })
        : sseRetry(randomRetryMs());
    this.#hasEnded = true;
    this.#response.cork(() => this.#response.end(farewell));
    this.onEnd(code);
  }

  /** The other side has gone: the response must not be touched any more. */
  onGone(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.onEnd(1006);
  }

  close(): void {
    if (this.#hasEnded) return;
    this.onGone();
    this.#response.close();
  }
}
