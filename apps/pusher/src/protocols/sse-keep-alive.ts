import type { ResponseConnection } from "./response-connection.ts";

/** Short enough for proxies that close idle connections, and for uWebSockets.js, which closes idle responses. */
const PERIOD_MS = 5_000;
/**
 * Number of parts into which the streams are divided. Each part is written in another tick, so that no tick takes long.
 */
const SLICES = 50;

/** Writes a comment to each open stream once in a period. */
export class KeepAlive {
  readonly #slices = Array.from({ length: SLICES }, () => new Set<ResponseConnection>());
  readonly #timer: NodeJS.Timeout;
  #next = 0;

  constructor() {
    this.#timer = setInterval(() => this.#writeToNextSlice(), PERIOD_MS / SLICES);
  }

  add(connection: ResponseConnection): void {
    this.#sliceOf(connection)?.add(connection);
  }

  remove(connection: ResponseConnection): void {
    this.#sliceOf(connection)?.delete(connection);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sliceOf(connection: ResponseConnection): Set<ResponseConnection> | undefined {
    return this.#slices[connection.getUserData().connectionId % SLICES];
  }

  #writeToNextSlice(): void {
    for (const connection of this.#slices[this.#next] ?? []) connection.keepAlive();
    this.#next = (this.#next + 1) % SLICES;
  }
}
