import type { SseConnection } from "./sse-connection.ts";

/** Often enough for the proxies that close what is silent, and for uWebSockets.js, which closes responses itself. */
const PERIOD_MS = 5_000;
/** Writing to tens of thousands of streams at once would hold up everybody else. */
const SLICES = 50;
const COMMENT = ": \n\n";

/** Writes a comment to every open stream once in a period, to a part of them at a time. */
export class KeepAlive {
  readonly #slices = Array.from({ length: SLICES }, () => new Set<SseConnection>());
  readonly #timer: NodeJS.Timeout;
  #next = 0;

  constructor() {
    this.#timer = setInterval(() => this.#writeToNextSlice(), PERIOD_MS / SLICES);
  }

  add(connection: SseConnection): void {
    this.#sliceOf(connection)?.add(connection);
  }

  remove(connection: SseConnection): void {
    this.#sliceOf(connection)?.delete(connection);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sliceOf(connection: SseConnection): Set<SseConnection> | undefined {
    return this.#slices[connection.getUserData().connectionId % SLICES];
  }

  #writeToNextSlice(): void {
    for (const connection of this.#slices[this.#next] ?? []) connection.send(COMMENT);
    this.#next = (this.#next + 1) % SLICES;
  }
}
