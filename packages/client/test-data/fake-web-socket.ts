import { vi } from "vitest";
import type { Client } from "../src/client.ts";
import { type ClientOptions, type ClientState, connect, type Publication, type WebSocketLike } from "../src/index.ts";

type Events = {
  message: { readonly data: unknown };
  close: { readonly code: number; readonly reason: string };
  error: unknown;
};

/** A WebSocket for which the test plays the worker. */
export class FakeWebSocket implements WebSocketLike {
  static readonly all: FakeWebSocket[] = [];
  /** Whether pings are answered without the test. */
  static answersPings = true;
  /** Whether other commands are answered with ok too, at the end of the tick. */
  static answersCommands = false;
  readonly url: URL;
  readonly protocol: string | string[];
  /** Frames sent by the client. */
  readonly sent: string[] = [];
  closedWith: number | undefined | "open" = "open";
  readonly #listeners: { [Type in keyof Events]?: (event: Events[Type]) => void } = {};

  constructor(url: string, protocol: string | string[]) {
    this.url = new URL(url);
    this.protocol = protocol;
    FakeWebSocket.all.push(this);
  }

  static get last(): FakeWebSocket {
    const last = FakeWebSocket.all.at(-1);
    if (last === undefined) throw new Error("nobody has connected");
    return last;
  }

  /** The parameters with which the client has connected. */
  get query(): URLSearchParams {
    return this.url.searchParams;
  }

  get queriedTopics(): string[] {
    return this.query.getAll("topic");
  }

  addEventListener<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void): void {
    Object.assign(this.#listeners, { [type]: listener });
  }

  send(frame: string): void {
    if (this.closedWith !== "open") throw new Error("sent on a closed socket");
    const { command, id } = frame.includes("\n") ? {} : JSON.parse(frame);
    if (command === "ping" && FakeWebSocket.answersPings) this.deliver({ type: "reply", id, ok: true });
    else this.sent.push(frame);
    if (FakeWebSocket.answersCommands) queueMicrotask(() => this.#answer(frame));
  }

  #answer(frame: string): void {
    for (const line of frame.split("\n")) this.deliver({ type: "reply", id: JSON.parse(line).id, ok: true });
  }

  close(code?: number): void {
    this.closedWith = code;
  }

  /** Sends messages of the worker in one frame. */
  deliver(...messages: (object | string)[]): void {
    const lines = messages.map((message) => (typeof message === "string" ? message : JSON.stringify(message)));
    this.#listeners.message?.({ data: lines.join("\n") });
  }

  sayBytes(): void {
    this.#listeners.message?.({ data: new ArrayBuffer(3) });
  }

  /** Ends the connection. */
  end(code = 1006, reason = ""): void {
    this.#listeners.error?.({});
    this.#listeners.close?.({ code, reason });
  }

  welcome(more: object = {}): void {
    this.deliver({ type: "welcome", connection: "k3v9q0xa.17", position: "e-10", recovered: null, ...more });
  }

  get commands(): Record<string, unknown>[] {
    return this.sent.flatMap((frame) => frame.split("\n").map((line) => JSON.parse(line) as Record<string, unknown>));
  }

  /** Answers the last command of this kind. */
  reply(command: string, more: object = {}): void {
    const { id } = this.commands.findLast((sent) => sent.command === command) ?? {};
    this.deliver({ type: "reply", id, ok: true, ...more });
  }

  /** Refuses the last command of this kind. */
  refuse(command: string, code: string): void {
    this.reply(command, { ok: false, error: { code, message: "no" } });
  }
}

export const publication = (more: object = {}) => ({ type: "publication", event: "message", data: "hi", ...more });
export const pong = (more: object = {}) => ({ type: "reply", id: "ping", ok: true, ...more });

export type Recorded = {
  readonly client: Client;
  readonly publications: Publication[];
  readonly states: ClientState[];
  readonly refused: string[];
};

/** Returns a client of fake sockets, with its first socket open, and records its callbacks. */
export async function record(options: Partial<ClientOptions> = {}): Promise<Recorded> {
  const publications: Publication[] = [];
  const states: ClientState[] = [];
  const refused: string[] = [];
  const client = connect({
    url: "ws://pusher.example/",
    WebSocket: FakeWebSocket,
    onPublication: (publication) => publications.push(publication),
    onState: (state) => states.push(state),
    onRefused: (topic, error) => refused.push(`${topic}: ${error.code}`),
    ...options,
  });
  await settled();
  return { client, publications, states, refused };
}

/** Like {@link record}, with an open connection. */
export async function recordOpen(options: Partial<ClientOptions> = {}, welcome: object = {}): Promise<Recorded> {
  const recorded = await record(options);
  FakeWebSocket.last.welcome(welcome);
  await settled();
  return recorded;
}

/** Ends the connection if it has not ended, and advances the time until the next one is open. */
export async function reconnect(welcome: object = {}, code?: number): Promise<void> {
  FakeWebSocket.last.end(code);
  await reconnected();
  FakeWebSocket.last.welcome(welcome);
  await settled();
}

/** Advances the time until the client has connected again. */
export async function reconnected(): Promise<void> {
  const count = FakeWebSocket.all.length;
  while (FakeWebSocket.all.length === count) await vi.advanceTimersToNextTimerAsync();
}

/** Settles all promises without advancing the time. */
export async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}
