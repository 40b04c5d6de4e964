import { Deque } from "../data/deque.ts";
import type { Steps } from "../data/steps.ts";
import type { ClassRule } from "../php/classes.ts";
import { type Parsed, parseInSteps, type Request } from "../wire/client-message.ts";
import type { FrameError } from "../wire/frames.ts";
import type { Peer } from "./peer.ts";

/** Memory in bytes of a message beside its content, and of a name in a parsed request. */
const MESSAGE_COST = 150;
const NAME_COST = 200;

type PendingRequestsParts = {
  readonly allowsClass: ClassRule;
  setReading(isReading: boolean): void;
  /** Called when all requests are carried out. */
  onIdle(): void;
  /** Counts memory of waiting requests. */
  addWaiting(bytes: number): void;
};

/** The requests of one peer that are not carried out yet. */
export class PendingRequests {
  readonly peer: Peer;
  readonly #parts: PendingRequestsParts;
  readonly #messages = new Deque<Buffer>();
  /** Memory of the messages and of the request. It is counted only while they wait. */
  #bytes = 0;
  #countedBytes = 0;
  #parsing: Steps<Parsed> | undefined;
  /** Bytes of the message that is being parsed, or was parsed last. */
  parsingBytes = 0;
  #request: Request | undefined;
  /** Index of the next name of the request. */
  nextName = 0;
  /** Why the bytes after the messages cannot be decoded. */
  error: FrameError | null = null;

  constructor(peer: Peer, parts: PendingRequestsParts) {
    this.peer = peer;
    this.#parts = parts;
  }

  /** The request that is being carried out. */
  get request(): Request | undefined {
    return this.#request;
  }

  receive(messages: readonly Buffer[]): void {
    for (const message of messages) {
      this.#messages.push(message);
      this.#bytes += message.length + MESSAGE_COST;
    }
    // Memory is counted only for a peer whose requests already wait. Other requests are carried out at once.
    if (this.#countedBytes > 0) this.#count(this.#bytes);
  }

  get hasMore(): boolean {
    return this.#request !== undefined || this.#parsing !== undefined || this.#messages.size > 0;
  }

  /** The parser of the current or next message, or `undefined` without one. */
  get parsing(): Steps<Parsed> | undefined {
    const message = this.#parsing === undefined ? this.#messages.shift() : undefined;
    if (message !== undefined) {
      this.#parsing = parseInSteps(message, this.#parts.allowsClass);
      this.parsingBytes = message.length;
    }
    return this.#parsing;
  }

  /** Must be called when the current message is parsed. */
  endParsing(): void {
    this.#parsing = undefined;
  }

  begin(request: Request): void {
    this.#request = request;
    this.nextName = 0;
    this.#bytes += request.channels.length * NAME_COST;
  }

  endRequest(): void {
    this.#bytes -= (this.#request?.channels.length ?? 0) * NAME_COST;
    this.#request = undefined;
  }

  wait(): void {
    this.#parts.setReading(false);
    this.#count(this.#bytes);
  }

  finish(): void {
    this.#messages.clear();
    this.#parsing = undefined;
    this.#request = undefined;
    this.#bytes = 0;
    this.#count(0);
    if (this.error !== null) this.peer.close(this.error);
    this.#parts.setReading(true);
    this.#parts.onIdle();
  }

  #count(bytes: number): void {
    if (bytes === this.#countedBytes) return;
    const added = bytes - this.#countedBytes;
    this.#countedBytes = bytes;
    this.#parts.addWaiting(added);
  }
}
