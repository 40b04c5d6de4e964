import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@fanwire/service";
import { Deque } from "./core/deque.ts";
import type { DecodedFrames, FrameError } from "./frames.ts";
import { Pace } from "./pace.ts";
import type { Peer } from "./peer.ts";
import type { ClassRule } from "./php-classes.ts";
import { type Name, type Parsed, parseInSteps, type Request } from "./request.ts";
import type { PauseReason, Traffic } from "./traffic.ts";

/** Carries out what peers ask. */
export interface RequestHandler {
  /** Why no request can be carried out now; {@link Conversations.resume} says when to ask again. */
  congestion(): PauseReason | undefined;
  /** The same of one name of a request. */
  pauseReason(request: Request, name: Name): PauseReason | undefined;
  /** Called once for each request, before its names. */
  begin(peer: Peer, request: Request): void;
  /** Called for each name of the request in turn; `at` counts from 0. */
  handle(peer: Peer, request: Request, name: Name, at: number): void;
}

/** Memory of a message beside its bytes, and of a name in a request that is read. */
const MESSAGE_COST = 150;
const NAME_COST = 200;

type ConversationParts = {
  readonly allowsClass: ClassRule;
  setReading(isReading: boolean): void;
  /** Everything is carried out. */
  onIdle(): void;
  /** Counts memory of what waits. */
  addWaiting(bytes: number): void;
};

/** What one peer said and has not been carried out yet. */
export class Conversation {
  readonly peer: Peer;
  readonly #parts: ConversationParts;
  readonly #messages = new Deque<Buffer>();
  /** Memory of the messages and of the request; counted only while they wait. */
  #bytes = 0;
  #countedBytes = 0;
  #parsing: Generator<void, Parsed> | undefined;
  #request: Request | undefined;
  /** The next name of the request. */
  nextName = 0;
  /** Why what follows the messages cannot be read. */
  error: FrameError | null = null;

  constructor(peer: Peer, parts: ConversationParts) {
    this.peer = peer;
    this.#parts = parts;
  }

  /** The request being carried out. */
  get request(): Request | undefined {
    return this.#request;
  }

  receive(messages: readonly Buffer[]): void {
    for (const message of messages) {
      this.#messages.push(message);
      this.#bytes += message.length + MESSAGE_COST;
    }
    // Only one that waits already is counted; the others are carried out at once.
    if (this.#countedBytes > 0) this.#count(this.#bytes);
  }

  get hasMore(): boolean {
    return this.#request !== undefined || this.#parsing !== undefined || this.#messages.size > 0;
  }

  /** The next message being read; `undefined` when there is none. */
  get parsing(): Generator<void, Parsed> | undefined {
    const message = this.#parsing === undefined ? this.#messages.shift() : undefined;
    if (message !== undefined) this.#parsing = parseInSteps(message, this.#parts.allowsClass);
    return this.#parsing;
  }

  /** The message is read. */
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

type ConversationsParts = { readonly handler: RequestHandler; readonly traffic: Traffic; readonly log: Log };

/** `later`: in the next tick, since this one has done enough. */
type Progress = "done" | "later" | PauseReason;

const SETTLE_POLL_MS = 5;
const LONGEST_LOGGED_NAME = 200;

/**
 * Carries out what peers ask: each peer's requests strictly in order, the peers in turns, all of them only for a part of
 * each tick. A peer is not read from while something it said has to wait, so that what waits is bounded by what was
 * already read.
 */
export class Conversations {
  readonly #parts: ConversationsParts;
  readonly #pace = new Pace();
  /** Those that continue in the next tick, and those that wait for {@link resume}. */
  readonly #ready = new Set<Conversation>();
  readonly #paused = new Set<Conversation>();
  #isTurnPlanned = false;
  #hasWarnedOfClass = false;

  constructor(parts: ConversationsParts) {
    this.#parts = parts;
  }

  /** How many peers have said something that has to wait. */
  get waitingCount(): number {
    return this.#ready.size + this.#paused.size;
  }

  receive(conversation: Conversation, { messages, pings, error }: DecodedFrames): void {
    this.#parts.traffic.pings += pings;
    conversation.error ??= error;
    conversation.receive(messages);
    if (!this.isIdle(conversation)) return;
    if (this.#pace.isOver()) this.#wait(conversation, "later");
    else this.#advance(conversation);
  }

  /** Whether all that the peer said is carried out. */
  isIdle(conversation: Conversation): boolean {
    return !this.#ready.has(conversation) && !this.#paused.has(conversation);
  }

  /** Resolves when nothing waits any more, or when `signal` aborts. */
  async settle(signal: AbortSignal): Promise<void> {
    while (this.waitingCount > 0 && !signal.aborted) await delay(SETTLE_POLL_MS);
  }

  /** Must be called when a reason to pause has ended. */
  resume(): void {
    if (this.#paused.size === 0) return;
    for (const conversation of this.#paused) this.#ready.add(conversation);
    this.#paused.clear();
    this.#planTurn();
  }

  /** Must be called when the peer is gone, since nothing of what it said may have to be carried out any more. */
  onGone(conversation: Conversation): void {
    if (!this.#paused.delete(conversation)) return;
    this.#ready.add(conversation);
    this.#planTurn();
  }

  #advance(conversation: Conversation): void {
    const progress = this.#carryOut(conversation);
    if (progress === "done") conversation.finish();
    else this.#wait(conversation, progress);
  }

  #wait(conversation: Conversation, progress: PauseReason | "later"): void {
    if (progress === "later") {
      this.#ready.add(conversation);
      this.#planTurn();
    } else {
      this.#paused.add(conversation);
      this.#parts.traffic.pauses[progress]++;
    }
    conversation.wait();
  }

  #planTurn(): void {
    if (this.#isTurnPlanned) return;
    this.#isTurnPlanned = true;
    setImmediate(() => {
      this.#isTurnPlanned = false;
      this.#turn();
    });
  }

  #turn(): void {
    let left = this.#ready.size;
    for (const conversation of this.#ready) {
      this.#ready.delete(conversation);
      this.#advance(conversation);
      if (--left === 0 || this.#pace.isOver()) break;
    }
    if (this.#ready.size > 0) this.#planTurn();
  }

  #carryOut(conversation: Conversation): Progress {
    const { handler } = this.#parts;
    const { peer } = conversation;
    // What a peer said before it left is carried out; what one said before we threw it out is not.
    while (!peer.isThrownOut) {
      // A request takes much more memory than its message: none is read while it would only wait.
      const congestion = handler.congestion();
      if (congestion !== undefined && conversation.hasMore) return congestion;
      const request = conversation.request ?? this.#nextRequest(conversation);
      if (request === undefined || request === "later") return request ?? "done";
      const name = request.channels[conversation.nextName];
      if (name === undefined) {
        conversation.endRequest();
        continue;
      }
      const reason = handler.pauseReason(request, name);
      if (reason !== undefined) return reason;
      handler.handle(peer, request, name, conversation.nextName++);
      if (this.#pace.isOverAfter(request.data.length)) return "later";
    }
    return "done";
  }

  /** The next one that means something; `undefined` when there is none. */
  #nextRequest(conversation: Conversation): Request | "later" | undefined {
    const { handler, traffic } = this.#parts;
    for (let parsing = conversation.parsing; parsing !== undefined; parsing = conversation.parsing) {
      const step = parsing.next();
      if (step.done) {
        conversation.endParsing();
        const request = step.value;
        if (request.type === "ignored") {
          traffic.ignored[request.reason]++;
          if (request.className !== undefined) this.#warnOfClass(conversation.peer, request.className);
        } else if (request.type === "hostile") {
          conversation.peer.close(request.reason);
          return undefined;
        } else {
          traffic.requests[request.type]++;
          conversation.begin(request);
          handler.begin(conversation.peer, request);
          // One without names is carried out already.
          return request.channels.length === 0 && this.#pace.isOverAfter(0) ? "later" : request;
        }
      }
      if (step.done ? this.#pace.isOverAfter(0) : this.#pace.isOver()) return "later";
    }
    return undefined;
  }

  /** Logs the first message that is ignored for its class. A metric counts all of them. */
  #warnOfClass(peer: Peer, className: string): void {
    if (this.#hasWarnedOfClass) return;
    this.#hasWarnedOfClass = true;
    const fields = { peer: peer.id, className: className.slice(0, LONGEST_LOGGED_NAME) };
    this.#parts.log.warn(fields, "message ignored: class not in CHANNEL_ALLOWED_CLASSES");
  }
}
