import { type Message, parseFrame } from "./messages.ts";

/** The common part of the browser's WebSocket and the one of `ws`. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { readonly code: number; readonly reason: string }) => void): void;
  addEventListener(type: "error", listener: (event: unknown) => void): void;
}

export type WebSocketConstructor = new (url: string, protocols: string | string[]) => WebSocketLike;

/** Maximum time from the first SYN to the welcome. */
const CONNECT_TIMEOUT_MS = 10_000;
/**
 * Shorter than the idle timeouts of proxies. Busy connections ping too, because only the reply shows that a quiet topic
 * has caught up.
 */
const PING_AFTER_MS = 25_000;
const PONG_TIMEOUT_MS = 10_000;

/**
 * Maximum characters of a frame that several commands share: workers limit the size of frames, and frames per second.
 */
const MAX_SHARED_FRAME = 16_384;

export const PING_ID = "ping";
const PING = JSON.stringify({ id: PING_ID, command: "ping" });
const ABNORMAL = 1006;

/** One WebSocket connection: parses frames into messages, and detects a worker that does not answer. */
export class Transport {
  readonly #socket: WebSocketLike;
  readonly #onEnd: (code: number, reason: string) => void;
  #timer: ReturnType<typeof setTimeout>;
  #unsent = "";
  #isOver = false;
  /** Whether something was received since the last ping. */
  #isAlive = false;

  /** `onEnd` is called once, unless `close` was called before. Throws as the constructor of the WebSocket does. */
  constructor(options: {
    readonly WebSocket: WebSocketConstructor;
    readonly url: string;
    readonly protocols: string | string[];
    onMessage(message: Message): void;
    onEnd(code: number, reason: string): void;
  }) {
    this.#onEnd = options.onEnd;
    this.#socket = new options.WebSocket(options.url, options.protocols);
    this.#socket.addEventListener("message", ({ data }) => {
      if (this.#isOver || typeof data !== "string") return;
      if (!this.#isAlive) this.#restartTimer(PING_AFTER_MS, () => this.check());
      this.#isAlive = true;
      for (const message of parseFrame(data)) if (!this.#isOver) options.onMessage(message);
    });
    this.#socket.addEventListener("close", ({ code, reason }) => this.#end(code, reason));
    // The close event after it has the same information, but `ws` ends the process without a listener.
    this.#socket.addEventListener("error", () => {});
    this.#timer = setTimeout(() => this.abandon("no welcome in time"), CONNECT_TIMEOUT_MS);
  }

  /** Sends the message at the end of this event-loop tick, in one frame with other messages of the tick. */
  send(message: string): void {
    if (this.#unsent.length + message.length > MAX_SHARED_FRAME) this.#flush();
    if (this.#unsent === "") queueMicrotask(() => this.#flush());
    this.#unsent += this.#unsent === "" ? message : `\n${message}`;
  }

  #flush(): void {
    const frame = this.#unsent;
    this.#unsent = "";
    if (frame !== "" && !this.#isOver) this.#socket.send(frame);
  }

  /** Pings the worker, unless a ping or the welcome is awaited already. */
  check(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.send(PING);
    this.#restartTimer(PONG_TIMEOUT_MS, () => this.abandon("the worker does not reply"));
  }

  /** Closes the connection without waiting for the worker, which may not answer. */
  abandon(reason: string, code = ABNORMAL): void {
    if (this.#isOver) return;
    this.#end(code, reason);
    this.#socket.close();
  }

  /** Closes the connection. No callback is called after it. */
  close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#socket.close(1000);
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#onEnd(code, reason);
  }

  #restartTimer(delayMs: number, onTime: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onTime, delayMs);
  }
}
