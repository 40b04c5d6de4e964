import { type Message, parseFrame } from "./messages.ts";

/** What the browser's WebSocket and `ws` have in common. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { readonly code: number; readonly reason: string }) => void): void;
  addEventListener(type: "error", listener: (event: unknown) => void): void;
}

export type WebSocketConstructor = new (url: string, protocols: string | string[]) => WebSocketLike;

/** From the first SYN to the welcome. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Below what proxies allow a silent connection. */
const QUIET_MS = 25_000;
const PONG_TIMEOUT_MS = 10_000;

/** Commands given in one turn share a frame up to this many characters: workers bound a frame's bytes, and frames a second. */
const MAX_SHARED_FRAME = 16_384;

export const PING_ID = "ping";
const PING = JSON.stringify({ id: PING_ID, command: "ping" });
const ABNORMAL = 1006;

/** One WebSocket for as long as it lives: frames to messages, and noticing when nobody is there any more. */
export class Link {
  readonly #socket: WebSocketLike;
  readonly #onEnd: (code: number, reason: string) => void;
  #timer: ReturnType<typeof setTimeout>;
  #unsent = "";
  #isOver = false;
  /** Whether something was received and no reply to a ping is awaited. */
  #isQuiet = false;

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
      this.#isQuiet = true;
      this.#restartTimer(QUIET_MS, () => this.#ping());
      for (const message of parseFrame(data)) if (!this.#isOver) options.onMessage(message);
    });
    this.#socket.addEventListener("close", ({ code, reason }) => this.#end(code, reason));
    // Says nothing that the close after it does not say; but without a listener `ws` ends the process.
    this.#socket.addEventListener("error", () => {});
    this.#timer = setTimeout(() => this.abandon("no welcome in time"), CONNECT_TIMEOUT_MS);
  }

  /** At the end of this turn, together with what else is sent until then. */
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
    if (this.#isQuiet) this.#ping();
  }

  /** Ends it without waiting for the other side, which may be gone. */
  abandon(reason: string, code = ABNORMAL): void {
    if (this.#isOver) return;
    this.#end(code, reason);
    this.#socket.close();
  }

  /** Ends it for good; nothing is heard of it any more. */
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

  #ping(): void {
    this.#isQuiet = false;
    this.send(PING);
    this.#restartTimer(PONG_TIMEOUT_MS, () => this.abandon("the worker does not answer"));
  }

  #restartTimer(delayMs: number, onTime: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onTime, delayMs);
  }
}
