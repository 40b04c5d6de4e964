import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@fanwire/service";
import { Deque } from "../broker/deque.ts";
import type { PauseReason, Traffic } from "../counters.ts";
import type { ClassRule } from "../php/classes.ts";
import { type Name, type Parsed, parseInSteps, type Request } from "../wire/client-message.ts";
import type { DecodedFrames, FrameError } from "../wire/frames.ts";
import { Pace } from "./pace.ts";
import type { Peer } from "./peer.ts";

/** Carries out the requests of peers. */
export interface RequestHandler {
  /** Returns why no request can be carried out now. {@link Conversations.resume} must be called when the reason has ended. */
  congestion(): PauseReason | undefined;
  /** Returns why one name of a request cannot be handled now. */
  pauseReason(request: Request, name: Name): PauseReason | undefined;
  /** Called once for each request, before its names. */
  begin(peer: Peer, request: Request): void;
  /** Called for each name of the request in order. `at` counts from 0. */
  handle(peer: Peer, request: Request, name: Name, at: number): void;
}

/** Memory in bytes of a message beside its content, and of a name in a parsed request. */
const MESSAGE_COST = 150;
const NAME_COST = 200;

type ConversationParts = {
  readonly allowsClass: ClassRule;
  setReading(isReading: boolean): void;
  /** Called when all requests are carried out. */
  onIdle(): void;
  /** Counts memory of waiting requests. */
  addWaiting(bytes: number): void;
};

/** The requests of one peer that are not carried out yet. */
export class Conversation {
  readonly peer: Peer;
  readonly #parts: ConversationParts;
  readonly #messages = new Deque<Buffer>();
  /** Memory of the messages and of the request. It is counted only while they wait. */
  #bytes = 0;
  #countedBytes = 0;
  #parsing: Generator<void, Parsed> | undefined;
  #request: Request | undefined;
  /** Index of the next name of the request. */
  nextName = 0;
  /** Why the bytes after the messages cannot be decoded. */
  error: FrameError | null = null;

  constructor(peer: Peer, parts: ConversationParts) {
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
  get parsing(): Generator<void, Parsed> | undefined {
    const message = this.#parsing === undefined ? this.#messages.shift() : undefined;
    if (message !== undefined) this.#parsing = parseInSteps(message, this.#parts.allowsClass);
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

type ConversationsParts = { readonly handler: RequestHandler; readonly traffic: Traffic; readonly log: Log };

/** `later` means in the next tick, because the slice of this tick is used up. */
type Progress = "done" | "later" | PauseReason;

const SETTLE_POLL_MS = 5;
const LONGEST_LOGGED_NAME = 200;

/**
 * Schedules the requests of peers. The requests of one peer run strictly in order, peers take turns, and all of them together take
 * a slice of each tick. A peer whose request waits is not read from, so its waiting requests are bounded by the bytes already read.
 */
export class Conversations {
  readonly #parts: ConversationsParts;
  readonly #pace = new Pace();
  /** Conversations that continue in the next tick. */
  readonly #ready = new Set<Conversation>();
  /** Conversations that wait for {@link resume}. */
  readonly #paused = new Set<Conversation>();
  #isTickPlanned = false;
  #hasWarnedOfClass = false;

  constructor(parts: ConversationsParts) {
    this.#parts = parts;
  }

  /** Number of peers with waiting requests. */
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

  /** Whether all requests of the peer are carried out. */
  isIdle(conversation: Conversation): boolean {
    return !this.#ready.has(conversation) && !this.#paused.has(conversation);
  }

  /** Resolves when no request waits, or when `signal` aborts. */
  async settle(signal: AbortSignal): Promise<void> {
    while (this.waitingCount > 0 && !signal.aborted) await delay(SETTLE_POLL_MS);
  }

  /** Must be called when a reason to pause has ended. */
  resume(): void {
    if (this.#paused.size === 0) return;
    for (const conversation of this.#paused) this.#ready.add(conversation);
    this.#paused.clear();
    this.#planTick();
  }

  /** Must be called when the peer is disconnected, because its waiting requests may be dropped then. */
  onClosed(conversation: Conversation): void {
    if (!this.#paused.delete(conversation)) return;
    this.#ready.add(conversation);
    this.#planTick();
  }

  #advance(conversation: Conversation): void {
    const progress = this.#carryOut(conversation);
    if (progress === "done") conversation.finish();
    else this.#wait(conversation, progress);
  }

  #wait(conversation: Conversation, progress: PauseReason | "later"): void {
    if (progress === "later") {
      this.#ready.add(conversation);
      this.#planTick();
    } else {
      this.#paused.add(conversation);
      this.#parts.traffic.pauses[progress]++;
    }
    conversation.wait();
  }

  #planTick(): void {
    if (this.#isTickPlanned) return;
    this.#isTickPlanned = true;
    setImmediate(() => {
      this.#isTickPlanned = false;
      this.#runTick();
    });
  }

  #runTick(): void {
    let left = this.#ready.size;
    for (const conversation of this.#ready) {
      this.#ready.delete(conversation);
      this.#advance(conversation);
      if (--left === 0 || this.#pace.isOver()) break;
    }
    if (this.#ready.size > 0) this.#planTick();
  }

  #carryOut(conversation: Conversation): Progress {
    const { handler } = this.#parts;
    const { peer } = conversation;
    // Requests received before a peer disconnected are processed. Those of an evicted peer are dropped.
    while (!peer.isEvicted) {
      // A parsed request takes much more memory than its message, so no message is parsed while its request would wait.
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

  /** Returns the next valid request, or `undefined` without one. */
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
          // A request without names is already carried out.
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
