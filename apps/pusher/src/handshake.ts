import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { type CloseCode, closeCodes } from "@fanwire/protocol";
import type { RefusalReason } from "./core/admission.ts";
import { type Grant, mayFollow } from "./core/claims.ts";
import { type HandshakeQuery, readHandshakeQuery } from "./core/handshake.ts";
import type { Edge } from "./edge.ts";
import type { TokenRefusal, TokenVerifier } from "./tokens.ts";
import type { Traffic } from "./traffic.ts";

/** A newcomer that may come in. */
export type Newcomer = { readonly grant: Grant; readonly query: HandshakeQuery };

/** What a door does with newcomers. */
type Doorway = {
  admit(newcomer: Newcomer): void;
  /** Tells who may not come in, and need not come back as it is. Absent, or for all others: an HTTP status. */
  readonly refuse: ((closeCode: CloseCode) => void) | undefined;
};

type Refusal = { readonly reason: RefusalReason; readonly message: string };

/**
 * A browser shows the page no HTTP status, only 1006, which says to come back: right for all that passes. What is final has a
 * close code. But for a foreign page: it is told nothing, as cheaply as possible.
 */
const refusals: Record<
  RefusalReason,
  { readonly status: string; readonly message: string; readonly closeCode?: CloseCode }
> = {
  draining: { status: "503 Service Unavailable", message: "this worker is stopping, try again" },
  "connection-limit": { status: "503 Service Unavailable", message: "this worker is full, try again" },
  "handshake-rate": { status: "503 Service Unavailable", message: "too many connections at once, try again" },
  origin: { status: "403 Forbidden", message: "pages from this origin may not connect" },
  malformed: final("400 Bad Request", closeCodes.malformedQuery),
  token: final("401 Unauthorized", closeCodes.tokenRefused),
  "token-keys": { status: "503 Service Unavailable", message: "tokens cannot be checked now, try again" },
  topic: final("403 Forbidden", closeCodes.topicForbidden),
};

function final(status: string, closeCode: CloseCode) {
  return { status, message: closeCode.reason, closeCode };
}

/** Decides who comes in by any door, and answers the others. */
export class Handshakes {
  readonly #edge: Edge;
  readonly #verifier: TokenVerifier;
  readonly #maxTopics: number;
  readonly #traffic: Traffic;

  constructor(options: {
    readonly edge: Edge;
    readonly verifier: TokenVerifier;
    readonly maxTopics: number;
    readonly traffic: Traffic;
  }) {
    this.#edge = options.edge;
    this.#verifier = options.verifier;
    this.#maxTopics = options.maxTopics;
    this.#traffic = options.traffic;
  }

  /**
   * Decides in this turn, or, when a token has to be checked first, later. `request` is not touched after the first return,
   * as uWebSockets.js demands.
   */
  receive(response: HttpResponse, request: HttpRequest, doorway: Doorway): void {
    const gateRefusal = this.#edge.refusal(request.getHeader("origin"));
    if (gateRefusal !== undefined) {
      answerRefusal(response, gateRefusal);
      return;
    }
    const parsed = readHandshakeQuery(request.getQuery(), this.#maxTopics);
    if (!parsed.ok) {
      this.#refuse(response, { reason: "malformed", message: parsed.problem }, doorway);
      return;
    }
    const { query } = parsed;
    if (query.token === undefined || this.#verifier.isOpen) {
      this.#decide(response, { query, grant: this.#verifier.anonymous }, doorway);
    } else {
      void this.#verifyLater(response, query.token, query, doorway);
    }
  }

  async #verifyLater(response: HttpResponse, token: string, query: HandshakeQuery, doorway: Doorway): Promise<void> {
    let isAborted = false;
    response.onAborted(() => {
      isAborted = true;
    });
    const verified = await this.#verifier.verify(token);
    if (isAborted) return;
    response.cork(() => {
      if (this.#edge.isDraining) answerRefusal(response, "draining");
      else if (verified.ok) this.#decide(response, { query, grant: verified.grant }, doorway);
      else this.#refuse(response, tokenRefusal(verified.reason), doorway);
    });
  }

  #decide(response: HttpResponse, newcomer: Newcomer, doorway: Doorway): void {
    const { query, grant } = newcomer;
    if (query.topics.every((pattern) => mayFollow(grant, pattern))) doorway.admit(newcomer);
    else this.#refuse(response, { reason: "topic", message: refusals.topic.message }, doorway);
  }

  #refuse(response: HttpResponse, { reason, message }: Refusal, { refuse }: Doorway): void {
    this.#traffic.refused[reason]++;
    const { closeCode } = refusals[reason];
    if (refuse && closeCode) refuse({ ...closeCode, reason: message });
    else answerRefusal(response, reason, message);
  }
}

function tokenRefusal(why: TokenRefusal): Refusal {
  const reason = why === "keys-unavailable" ? "token-keys" : "token";
  return { reason, message: `${refusals[reason].message}: ${why}` };
}

function answerRefusal(response: HttpResponse, reason: RefusalReason, message = refusals[reason].message): void {
  const { status } = refusals[reason];
  response.writeStatus(status).writeHeader("Content-Type", "text/plain; charset=utf-8");
  if (status.startsWith("503")) response.writeHeader("Retry-After", "1");
  response.end(`${message}\n`, true);
}
