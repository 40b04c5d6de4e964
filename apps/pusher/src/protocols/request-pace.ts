import type { HttpResponse, WebSocket } from "uWebSockets.js";
import type { ConnectionState } from "../connections/connection.ts";
import type { TimeSlices } from "../pacing/time-slices.ts";

/** Requests that are answered in the tick in which they are read. Reading a request costs a quarter of answering it. */
const AT_ONCE = 400;
/** Maximum memory in bytes of requests that wait. Further requests are answered in the tick in which they are read. */
const MAX_WAITING_BYTES = 16_777_216;
/** Memory in bytes of a waiting request beside the text that it keeps. */
const REQUEST_COST = 1_000;

type Holder = Pick<WebSocket<ConnectionState>, "cork">;

/**
 * Answers requests in later ticks when thousands are read in one. uWebSockets.js calls a handler for each socket that
 * can be read, so that only the work of the handler can wait.
 */
export class RequestPace {
  readonly #slices: Pick<TimeSlices, "turn">;
  /** Requests of this tick. */
  #requests = 0;
  #waitingBytes = 0;
  /** The last WebSocket that was opened, until it closes. */
  #holder: Holder | undefined;

  constructor(slices: Pick<TimeSlices, "turn">) {
    this.#slices = slices;
  }

  /**
   * Calls `answer` in this tick or a later one, unless the client closes before. It must not read the request.
   * `textBytes` is the length of the texts of the request that it keeps.
   */
  answer(response: HttpResponse, textBytes: number, answer: () => void): void {
    if (this.#mayAnswerNow(textBytes)) answer();
    else this.#later(response, textBytes, () => response.cork(answer));
  }

  /**
   * The same for an `upgrade` of the response. After an upgrade within `cork`, uWebSockets.js reads the WebSocket as
   * the response that it was, and may close it. Its pull request 1929, of July 2026, fixes that. So the upgrade runs
   * while another WebSocket, the holder, is corked. The response then cannot be corked, and uWebSockets.js writes each
   * part of it by itself, which takes six times as long.
   */
  upgrade(response: HttpResponse, connectionHeader: string, textBytes: number, upgrade: () => void): void {
    const mayWait = !closesAfterResponse(connectionHeader) && this.#holder !== undefined;
    if (this.#mayAnswerNow(textBytes) || !mayWait) upgrade();
    else this.#later(response, textBytes, () => this.#upgradeUncorked(response, upgrade));
  }

  #upgradeUncorked(response: HttpResponse, upgrade: () => void): void {
    const holder = this.#holder;
    // Without a holder, uWebSockets.js also prints a warning.
    if (holder === undefined) upgrade();
    else holder.cork(() => response.cork(upgrade));
  }

  /** Must be called with each WebSocket that was opened. */
  opened(socket: Holder): void {
    this.#holder = socket;
  }

  /** Must be called with each WebSocket that has closed. */
  closed(socket: Holder): void {
    if (this.#holder === socket) this.#holder = undefined;
  }

  #mayAnswerNow(textBytes: number): boolean {
    if (this.#requests === 0) {
      setImmediate(() => {
        this.#requests = 0;
      });
    }
    this.#requests++;
    return this.#requests <= AT_ONCE || this.#waitingBytes + REQUEST_COST + textBytes > MAX_WAITING_BYTES;
  }

  #later(response: HttpResponse, textBytes: number, answer: () => void): void {
    this.#waitingBytes += REQUEST_COST + textBytes;
    let isAborted = false;
    response.onAborted(() => {
      isAborted = true;
    });
    void this.#slices.turn().then(() => {
      this.#waitingBytes -= REQUEST_COST + textBytes;
      if (!isAborted) answer();
    });
  }
}

/**
 * Whether uWebSockets.js closes the connection after the first part of a response that is not corked. It compares only
 * the length of the header with that of `close`.
 */
function closesAfterResponse(connectionHeader: string): boolean {
  return connectionHeader.length === "close".length;
}
