import type { WebSocketConstructor, WebSocketLike } from "@fanwire/client";

/** What a browser says of a connection that ended without a close frame. */
const LOST = { code: 1006, reason: "the line was cut" };

type Listener = { readonly type: string; readonly hear: (event: never) => void };

/** The network between the page and the pusher, which can be cut. Connections of its `WebSocket` go through it. */
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

  /** Whoever is connected hears no more. Who connects meanwhile waits, since packets are lost and nobody refuses. */
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

/** A WebSocket that is opened when there is a line. */
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
    for (const { type, hear } of this.#listeners) this.#socket.addEventListener(type, hear as EventListener);
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  close(code?: number): void {
    this.#isOver = true;
    this.#socket?.close(code);
  }

  addEventListener(type: string, hear: Listener["hear"]): void {
    this.#listeners.push({ type, hear });
    this.#socket?.addEventListener(type, hear as EventListener);
  }

  /** The page hears of it at once. A browser cannot drop a connection without a close frame, so the pusher does get one. */
  lose(): void {
    if (this.#isOver) return;
    for (const { type, hear } of this.#listeners) if (type === "close") hear(LOST as never);
    this.close();
  }
}
