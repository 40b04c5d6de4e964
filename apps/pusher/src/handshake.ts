import type { HttpRequest } from "uWebSockets.js";
import { closeCodes } from "@fanwire/protocol";
import type { GateRefusal } from "./core/admission.ts";
import { type Grant, mayFollow } from "./core/claims.ts";
import { readBearer } from "./core/credentials.ts";
import { type HandshakeQuery, readHandshakeQuery } from "./core/handshake.ts";
import type { Edge } from "./edge.ts";
import { type Refused, refused, type TurnedAway, turnedAway } from "./refusals.ts";
import type { TokenRefusal, TokenResult, TokenVerifier } from "./tokens.ts";
import type { Traffic } from "./traffic.ts";

/** The handshake is accepted. */
type Admitted = { readonly outcome: "admitted"; readonly grant: Grant; readonly query: HandshakeQuery };
/** The token is still being verified. */
export type Unverified = {
  readonly outcome: "unverified";
  readonly verified: Promise<TokenResult>;
  readonly query: HandshakeQuery;
};
export type Decided = Admitted | Refused;

/** Decides about the handshakes of all protocols. */
export class Handshakes {
  readonly #edge: Edge;
  readonly #verifier: TokenVerifier;
  readonly #maxTopics: number;
  readonly #maxConnections: number;
  readonly #traffic: Traffic;
  /** Connections whose token is being verified. */
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

  /** Decides in this tick unless the token has to wait for keys. Counts refusals. `offered` are tokens from outside query and headers. */
  receive(request: HttpRequest, offered: readonly string[] = []): Decided | Unverified | TurnedAway {
    const reason = this.#edge.refusal(request.getHeader("origin")) ?? this.#refusalOfUnverified();
    if (reason !== undefined) return turnedAway(reason);
    // getQuery() returns undefined without a query, contrary to its type.
    const parsed = readHandshakeQuery(request.getQuery() ?? "", this.#maxTopics);
    if (!parsed.ok) return this.#refuse("malformed", parsed.problem);
    const { query } = parsed;
    if (this.#verifier.isOpen) return this.#decide(query, this.#verifier.anonymous);
    const [token, another] = new Set([...query.tokens, ...offered, ...readBearer(request.getHeader("authorization"))]);
    if (another !== undefined) return this.#refuse("malformed", "several different tokens");
    if (token === undefined) return this.#decide(query, this.#verifier.anonymous);
    const verified = this.#verifier.verify(token);
    return "ok" in verified ? this.#conclude(query, verified) : { outcome: "unverified", verified, query };
  }

  /** Connections whose token is being verified hold a socket and buffered input, for seconds if the JWKS endpoint is slow. */
  #refusalOfUnverified(): GateRefusal | undefined {
    if (this.#unverified + this.#edge.openConnections < this.#maxConnections) return undefined;
    this.#traffic.refused["connection-limit"]++;
    return "connection-limit";
  }

  async verify({ verified, query }: Unverified): Promise<Decided> {
    this.#unverified++;
    const result = await verified;
    this.#unverified--;
    return this.#edge.isDraining ? this.#refuse("draining") : this.#conclude(query, result);
  }

  #conclude(query: HandshakeQuery, verified: TokenResult): Decided {
    return verified.ok ? this.#decide(query, verified.grant) : this.#refuseToken(verified.reason);
  }

  #decide(query: HandshakeQuery, grant: Grant): Decided {
    const mayFollowAll = query.topics.every((pattern) => mayFollow(grant, pattern));
    return mayFollowAll ? { outcome: "admitted", grant, query } : this.#refuse("topic");
  }

  #refuseToken(why: TokenRefusal): Refused {
    if (why === "keys-unavailable") return this.#refuse("token-keys");
    return this.#refuse("token", `${closeCodes.tokenRefused.reason}: ${why}`);
  }

  #refuse(reason: Refused["reason"], detail?: string): Refused {
    this.#traffic.refused[reason]++;
    return refused(reason, detail);
  }
}
