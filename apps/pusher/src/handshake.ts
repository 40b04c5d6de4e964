import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { type CloseCode, closeCodes } from "@fanwire/protocol";
import type { GateRefusal, RefusalReason } from "./core/admission.ts";
import { type Grant, mayFollow } from "./core/claims.ts";
import { type HandshakeQuery, readHandshakeQuery } from "./core/handshake.ts";
import type { Edge } from "./edge.ts";
import type { TokenRefusal, TokenVerifier } from "./tokens.ts";
import type { Traffic } from "./traffic.ts";

/** Who may come in. */
type Admitted = { readonly outcome: "admitted"; readonly grant: Grant; readonly query: HandshakeQuery };
/** Whose token is to be checked first. */
export type Unverified = { readonly outcome: "unverified"; readonly token: string; readonly query: HandshakeQuery };
/** Who may not, already counted. The HTTP status is for who has not been upgraded, the close code for who has. */
export type Refused = {
  readonly outcome: "refused";
  readonly status: string;
  readonly closeCode: CloseCode;
};
export type Decided = Admitted | Refused;

/** Refused at the door, without a look at what is asked for: as cheaply as possible, by HTTP. */
const gateRefusals: Record<GateRefusal, { readonly status: string; readonly message: string }> = {
  draining: { status: "503 Service Unavailable", message: "this worker is stopping, try again" },
  "connection-limit": { status: "503 Service Unavailable", message: "this worker is full, try again" },
  "handshake-rate": { status: "503 Service Unavailable", message: "too many connections at once, try again" },
  origin: { status: "403 Forbidden", message: "pages from this origin may not connect" },
};

const refusals = {
  draining: { status: "503 Service Unavailable", closeCode: closeCodes.draining },
  malformed: { status: "400 Bad Request", closeCode: closeCodes.malformedQuery },
  token: { status: "401 Unauthorized", closeCode: closeCodes.tokenRefused },
  "token-keys": { status: "503 Service Unavailable", closeCode: closeCodes.tokenUnchecked },
  topic: { status: "403 Forbidden", closeCode: closeCodes.topicForbidden },
} as const satisfies Partial<Record<RefusalReason, Omit<Refused, "outcome">>>;

/** Decides who comes in by any door. */
export class Handshakes {
  readonly #edge: Edge;
  readonly #verifier: TokenVerifier;
  readonly #maxTopics: number;
  readonly #maxConnections: number;
  readonly #traffic: Traffic;
  /** Whose token is being checked. */
  #unverified = 0;

  constructor(options: {
    readonly edge: Edge;
    readonly verifier: TokenVerifier;
    readonly maxTopics: number;
    readonly maxConnections: number;
    readonly traffic: Traffic;
  }) {
    this.#edge = options.edge;
    this.#verifier = options.verifier;
    this.#maxTopics = options.maxTopics;
    this.#maxConnections = options.maxConnections;
    this.#traffic = options.traffic;
  }

  /** What can be decided in this turn. Undefined: refused at the door, and answered. */
  receive(response: HttpResponse, request: HttpRequest): Decided | Unverified | undefined {
    const refusal = this.#edge.refusal(request.getHeader("origin")) ?? this.#refusalOfUnverified();
    if (refusal !== undefined) {
      answer(response, gateRefusals[refusal]);
      return undefined;
    }
    // Undefined where there is none, whatever its type says.
    const parsed = readHandshakeQuery(request.getQuery() ?? "", this.#maxTopics);
    if (!parsed.ok) return this.#refuse("malformed", parsed.problem);
    const { query } = parsed;
    const { token } = query;
    if (token === undefined || this.#verifier.isOpen) return this.#decide(query, this.#verifier.anonymous);
    return { outcome: "unverified", token, query };
  }

  /** They hold a socket, and what they say meanwhile: with keys that do not come, for seconds. */
  #refusalOfUnverified(): GateRefusal | undefined {
    if (this.#unverified + this.#edge.openConnections < this.#maxConnections) return undefined;
    this.#traffic.refused["connection-limit"]++;
    return "connection-limit";
  }

  async verify({ token, query }: Unverified): Promise<Decided> {
    this.#unverified++;
    const verified = await this.#verifier.verify(token);
    this.#unverified--;
    if (this.#edge.isDraining) return this.#refuse("draining");
    return verified.ok ? this.#decide(query, verified.grant) : this.#refuseToken(verified.reason);
  }

  #decide(query: HandshakeQuery, grant: Grant): Decided {
    const mayFollowAll = query.topics.every((pattern) => mayFollow(grant, pattern));
    return mayFollowAll ? { outcome: "admitted", grant, query } : this.#refuse("topic");
  }

  #refuseToken(why: TokenRefusal): Refused {
    const reason = why === "keys-unavailable" ? "token-keys" : "token";
    return this.#refuse(reason, `${refusals[reason].closeCode.reason}: ${why}`);
  }

  #refuse(reason: keyof typeof refusals, message?: string): Refused {
    this.#traffic.refused[reason]++;
    const { status, closeCode } = refusals[reason];
    return {
      outcome: "refused",
      status,
      closeCode: message === undefined ? closeCode : { ...closeCode, reason: message },
    };
  }
}

export function answerRefusal(response: HttpResponse, { status, closeCode }: Refused): void {
  answer(response, { status, message: closeCode.reason });
}

function answer(response: HttpResponse, { status, message }: { status: string; message: string }): void {
  response.writeStatus(status).writeHeader("Content-Type", "text/plain; charset=utf-8");
  if (status.startsWith("503")) response.writeHeader("Retry-After", "1");
  response.end(`${message}\n`, true);
}
