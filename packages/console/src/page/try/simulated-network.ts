import type { WebSocketConstructor, WebSocketLike } from "@fanwire/client";

/** Close event of a connection that ended without a close frame. */
const LOST = { code: 1006, reason: "network cut" };

type Listener = { readonly type: string; readonly listen: (event: never) => void };

/** Simulates the network between the page and the pusher. It can be cut. Connections of its `WebSocket` use it. */
export class SimulatedNetwork {
  readonly WebSocket: WebSocketConstructor;
  #isCut = false;
  #socket: SimulatedSocket | undefined;

  constructor() {
    const join = (socket: SimulatedSocket) => this.#join(socket);
    this.WebSocket = class extends SimulatedSocket {
      constructor(url: string, protocol: string | string[]) {
        super(url, protocol);
        join(this);
      }
    };
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /**
   * Disconnects the open socket. New sockets wait until the network is restored, because packets are lost, not refused.
   */
  cut(): void {
    this.#isCut = true;
    this.#socket?.lose();
  }

  restore(): void {
    this.#isCut = false;
    this.#socket?.open();
  }

  #join(socket: SimulatedSocket): void {
    this.#socket = socket;
    if (!this.#isCut) socket.open();
  }
}

/** A WebSocket that opens once the network is not cut. */
class SimulatedSocket implements WebSocketLike {
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
    for (const { type, listen } of this.#listeners) this.#socket.addEventListener(type, listen as EventListener);
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  close(code?: number): void {
    this.#isOver = true;
    this.#socket?.close(code);
  }

  addEventListener(type: string, listen: Listener["listen"]): void {
    this.#listeners.push({ type, listen });
    this.#socket?.addEventListener(type, listen as EventListener);
  }

  /** Reports the loss to the page at once. The pusher receives a close frame, because a browser always sends one. */
  lose(): void {
    if (this.#isOver) return;
    for (const { type, listen } of this.#listeners) if (type === "close") listen(LOST as never);
    this.close();
  }
}
