import { setTimeout as delay } from "node:timers/promises";
import type { DecodedFrames, FrameError } from "./frames.ts";
import type { Peer } from "./peer.ts";
import { type Name, parseRequest, type Request } from "./request.ts";
import type { Traffic } from "./traffic.ts";

/** Carries out what peers ask. */
export interface RequestHandler {
  /** Called once for each request, before its names. */
  begin(peer: Peer, request: Request): void;
  /** Called for each name of the request in turn; `at` counts from 0. */
  handle(peer: Peer, request: Request, name: Name, at: number): void;
}

/** What one peer said and has not been carried out yet. */
export class Conversation {
  readonly peer: Peer;
  readonly #parts: { setReading(isReading: boolean): void; onIdle(): void };
  #messages: Buffer[] = [];
  #nextMessage = 0;
  /** The request being carried out, and the next of its names. */
  request: Request | undefined;
  nextName = 0;
  /** Why what follows the messages cannot be read. */
  error: FrameError | null = null;

  /** `setReading` stops and starts reading from the peer; `onIdle` is told when everything is carried out. */
  constructor(peer: Peer, parts: { setReading(isReading: boolean): void; onIdle(): void }) {
    this.peer = peer;
    this.#parts = parts;
  }

  hear(messages: Buffer[]): void {
    if (this.#messages.length === 0) this.#messages = messages;
    else for (const message of messages) this.#messages.push(message);
  }

  takeMessage(): Buffer | undefined {
    const message = this.#messages[this.#nextMessage++];
    if (message === undefined) this.#forget();
    return message;
  }

  wait(): void {
    this.#parts.setReading(false);
  }

  finish(): void {
    this.#forget();
    this.request = undefined;
    if (this.error !== null) this.peer.close(this.error);
    this.#parts.setReading(true);
    this.#parts.onIdle();
  }

  #forget(): void {
    this.#messages = [];
    this.#nextMessage = 0;
  }
}

type ConversationParts = {
  readonly handler: RequestHandler;
  readonly traffic: Traffic;
  /** Whether what requests lead to cannot be handed on at the moment. */
  isCongested(): boolean;
};

/**
 * Names that one peer's requests may concern in one turn of the event loop. A peer that comes back with 100,000
 * channels must not hold up the others until all of them are subscribed.
 */
const NAMES_PER_TURN = 1_000;
const SETTLE_POLL_MS = 5;

/**
 * Carries out what peers ask: each peer's requests strictly in order, the peers in turns. A peer is not read from while
 * something it said has to wait, so that what waits is bounded by what was already read.
 */
export class Conversations {
  readonly #parts: ConversationParts;
  readonly #waiting = new Set<Conversation>();
  #isTurnPlanned = false;
  #isPaused = false;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
  }

  /** How many peers have said something that has to wait. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  receive(conversation: Conversation, { messages, pings, error }: DecodedFrames): void {
    this.#parts.traffic.pings += pings;
    conversation.error ??= error;
    conversation.hear(messages);
    if (!this.#waiting.has(conversation)) this.#advance(conversation);
  }

  /** Whether all that the peer said is carried out. */
  isIdle(conversation: Conversation): boolean {
    return !this.#waiting.has(conversation);
  }

  /** Resolves when nothing waits any more, or when `signal` aborts. */
  async settle(signal: AbortSignal): Promise<void> {
    while (this.#waiting.size > 0 && !signal.aborted) await delay(SETTLE_POLL_MS);
  }

  /** To be called when what was congested is no longer. */
  resume(): void {
    this.#isPaused = false;
    if (this.#waiting.size > 0) this.#planTurn();
  }

  #advance(conversation: Conversation): void {
    if (this.#carryOut(conversation)) {
      conversation.finish();
      return;
    }
    conversation.wait();
    this.#waiting.add(conversation);
    if (!this.#parts.isCongested()) this.#planTurn();
    else if (!this.#isPaused) {
      this.#isPaused = true;
      this.#parts.traffic.pauses++;
    }
  }

  #planTurn(): void {
    if (this.#isTurnPlanned) return;
    this.#isTurnPlanned = true;
    setImmediate(() => {
      this.#isTurnPlanned = false;
      for (const conversation of [...this.#waiting]) {
        this.#waiting.delete(conversation);
        this.#advance(conversation);
      }
    });
  }

  /** False when something has to wait. */
  #carryOut(conversation: Conversation): boolean {
    const { handler, isCongested } = this.#parts;
    const { peer } = conversation;
    let names = NAMES_PER_TURN;
    // What a peer said before it left is carried out; what one said before we threw it out is not.
    while (!peer.isThrownOut) {
      const request = conversation.request ?? this.#nextRequest(conversation);
      if (request === undefined) return true;
      conversation.request = request;
      const name = request.channels[conversation.nextName];
      if (name === undefined) {
        conversation.request = undefined;
        conversation.nextName = 0;
        continue;
      }
      if (names-- <= 0 || isCongested()) return false;
      handler.handle(peer, request, name, conversation.nextName++);
    }
    return true;
  }

  /** The next one that means something; `undefined` when there is none. */
  #nextRequest(conversation: Conversation): Request | undefined {
    const { handler, traffic } = this.#parts;
    for (;;) {
      const message = conversation.takeMessage();
      if (message === undefined) return undefined;
      const request = parseRequest(message);
      if (request.type === "ignored") {
        traffic.ignored[request.reason]++;
      } else if (request.type === "hostile") {
        conversation.peer.close(request.reason);
        return undefined;
      } else {
        traffic.requests[request.type]++;
        handler.begin(conversation.peer, request);
        return request;
      }
    }
  }
}
