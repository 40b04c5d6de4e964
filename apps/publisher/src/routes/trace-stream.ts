import type { ServerResponse } from "node:http";
import type { TraceReader } from "../cluster/trace/trace.ts";

/** Maximum unsent bytes. Above it, events are left out. */
const MAX_UNSENT_BYTES = 1_048_576;
const KEEP_ALIVE_MS = 5_000;
/** A client that reads nothing for this long is disconnected. */
const STALLED_MS = 30_000;

/** Writes a trace as server-sent events. */
export class TraceStream implements TraceReader {
  readonly #outgoing: ServerResponse;
  #keepAlive: NodeJS.Timeout | undefined;
  #stalledSince: number | undefined;

  constructor(outgoing: ServerResponse) {
    this.#outgoing = outgoing;
  }

  get isClosed(): boolean {
    return this.#outgoing.destroyed || this.#outgoing.writableEnded;
  }

  start(): void {
    this.#outgoing.writeHead(200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      // Proxies that compress would buffer events to fill a block.
      "Cache-Control": "no-store, no-transform",
      // nginx would collect events until a buffer is full.
      "X-Accel-Buffering": "no",
    });
    this.#outgoing.write(": open\n\n");
    this.#keepAlive = setInterval(() => this.#onKeepAlive(), KEEP_ALIVE_MS);
    this.#outgoing.once("close", () => clearInterval(this.#keepAlive));
  }

  write(event: string, data: string): boolean {
    if (this.isClosed || this.#outgoing.writableLength > MAX_UNSENT_BYTES) return false;
    this.#outgoing.write(`event: ${event}\ndata: ${data}\n\n`);
    return true;
  }

  end(): void {
    clearInterval(this.#keepAlive);
    if (this.#outgoing.headersSent) this.#outgoing.end();
  }

  #onKeepAlive(): void {
    if (this.#outgoing.writableLength <= MAX_UNSENT_BYTES) {
      this.#stalledSince = undefined;
      this.#outgoing.write(": keep-alive\n\n");
      return;
    }
    const now = performance.now();
    this.#stalledSince ??= now;
    if (now - this.#stalledSince >= STALLED_MS) this.#outgoing.destroy();
  }
}
