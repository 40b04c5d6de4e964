import type { WebSocketConstructor, WebSocketLike } from "@fanwire/client";

/** Close event of a browser for a connection without a close frame. */
const LOST = { code: 1006, reason: "the line was cut" };

type Listener = { readonly type: string; readonly listener: (event: never) => void };

/** Simulates a network between page and pusher that can be cut. Connections of its `WebSocket` use it. */
export class Line {
  readonly WebSocket: WebSocketConstructor;
  #isCut = false;
  #socket: LineSocket | undefined;

  constructor() {
    const join = (socket: LineSocket) => this.#join(socket);
    this.WebSocket = class extends LineSocket {
      constructor(url: string, protocol: string | string[]) {
        super(url, protocol);
        join(this);
      }
    };
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Ends the present connection. Later connections wait, as they would while packets are lost. */
  cut(): void {
    this.#isCut = true;
    this.#socket?.lose();
  }

  mend(): void {
    this.#isCut = false;
    this.#socket?.open();
  }

  #join(socket: LineSocket): void {
    this.#socket = socket;
    if (!this.#isCut) socket.open();
  }
}

/** A WebSocket that opens when the network is available. */
class LineSocket implements WebSocketLike {
  readonly #url: string;
  readonly #protocol: string | string[];
  readonly #listeners: Listener[] = [];
  #socket: WebSocket | undefined;
  #isOver = false;

  constructor(url: string, protocol: string | string[]) {
    this.#url = url;
    this.#protocol = protocol;
  }

  open(): void {
    if (this.#isOver || this.#socket) return;
    this.#socket = new WebSocket(this.#url, this.#protocol);
    for (const { type, listener } of this.#listeners) this.#socket.addEventListener(type, listener as EventListener);
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  close(code?: number): void {
    this.#isOver = true;
    this.#socket?.close(code);
  }

  addEventListener(type: string, listener: Listener["listener"]): void {
    this.#listeners.push({ type, listener });
    this.#socket?.addEventListener(type, listener as EventListener);
  }

  /**
   * Informs the page at once. The pusher still receives a close frame, because browsers cannot drop a connection
   * without one.
   */
  lose(): void {
    if (this.#isOver) return;
    for (const { type, listener } of this.#listeners) if (type === "close") listener(LOST as never);
    this.close();
  }
}
