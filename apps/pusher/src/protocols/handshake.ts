import type { HttpRequest } from "uWebSockets.js";
import { closeCodes } from "@fanwire/protocol";
import { type Grant, mayBePresent, maySubscribe } from "../auth/grant.ts";
import type { TokenRefusal, TokenResult, TokenVerifier } from "../auth/token-verifier.ts";
import type { GateRefusal } from "../connections/admission.ts";
import type { Counters } from "../connections/counters.ts";
import type { Hub } from "../hub/hub.ts";
import { readBearer } from "../wire/credentials.ts";
import { type HandshakeQuery, readHandshakeQuery } from "../wire/handshake-query.ts";
import { type Refused, refused, type TurnedAway, turnedAway } from "./refusals.ts";

/** The handshake is accepted. */
type Admitted = { readonly outcome: "admitted"; readonly grant: Grant; readonly query: HandshakeQuery };
/** The token is still being verified. */
export type Unverified = {
  readonly outcome: "unverified";
  readonly verified: Promise<TokenResult>;
  readonly query: HandshakeQuery;
};
export type Decided = Admitted | Refused;

/** Decides the handshakes of all protocols. */
export class Handshakes {
  readonly #hub: Hub;
  readonly #verifier: TokenVerifier;
  readonly #maxTopics: number;
  readonly #maxConnections: number;
  readonly #counters: Counters;
  /** Connections whose token is being verified. */
  #unverified = 0;

  constructor(options: {
    readonly hub: Hub;
    readonly verifier: TokenVerifier;
    readonly maxTopics: number;
    readonly maxConnections: number;
    readonly counters: Counters;
  }) {
    this.#hub = options.hub;
    this.#verifier = options.verifier;
    this.#maxTopics = options.maxTopics;
    this.#maxConnections = options.maxConnections;
    this.#counters = options.counters;
  }

  /**
   * Decides in the same tick unless keys have to be fetched. Counts refusals. `offered` are tokens that are neither in the query nor in
   * a header. `takesPresence`: the protocol joins topics of the query with presence.
   */
  receive(
    request: HttpRequest,
    offered: readonly string[] = [],
    { takesPresence = false } = {},
  ): Decided | Unverified | TurnedAway {
    const reason = this.#hub.refusal(request.getHeader("origin")) ?? this.#refusalOfUnverified();
    if (reason !== undefined) return turnedAway(reason);
    // Contrary to its type, getQuery() returns undefined without a query.
    const parsed = readHandshakeQuery(request.getQuery() ?? "", this.#maxTopics);
    if (!parsed.ok) return this.#refuse("malformed", parsed.problem);
    const { query } = parsed;
    if (query.presence.length > 0 && !takesPresence) {
      return this.#refuse("malformed", "presence=… is for SSE only; WebSocket clients subscribe with presence");
    }
    if (this.#verifier.isOpen) return this.#decide(query, this.#verifier.anonymous);
    const [token, another] = new Set([...query.tokens, ...offered, ...readBearer(request.getHeader("authorization"))]);
    if (another !== undefined) return this.#refuse("malformed", "several different tokens");
    if (token === undefined) return this.#decide(query, this.#verifier.anonymous);
    const verified = this.#verifier.verify(token);
    return "ok" in verified ? this.#conclude(query, verified) : { outcome: "unverified", verified, query };
  }

  /** Connections whose token is being verified hold a socket and buffered input, for seconds if the JWKS endpoint is slow. */
  #refusalOfUnverified(): GateRefusal | undefined {
    if (this.#unverified + this.#hub.openConnections < this.#maxConnections) return undefined;
    this.#counters.refused["connection-limit"]++;
    return "connection-limit";
  }

  async verify({ verified, query }: Unverified): Promise<Decided> {
    this.#unverified++;
    const result = await verified;
    this.#unverified--;
    return this.#hub.isDraining ? this.#refuse("draining") : this.#conclude(query, result);
  }

  #conclude(query: HandshakeQuery, verified: TokenResult): Decided {
    return verified.ok ? this.#decide(query, verified.grant) : this.#refuseToken(verified.reason);
  }

  #decide(query: HandshakeQuery, grant: Grant): Decided {
    const isAllowed =
      query.topics.every((pattern) => maySubscribe(grant, pattern)) &&
      query.presence.every((topic) => mayBePresent(grant, topic));
    return isAllowed ? { outcome: "admitted", grant, query } : this.#refuse("topic");
  }

  #refuseToken(why: TokenRefusal): Refused {
    if (why === "keys-unavailable") return this.#refuse("token-keys");
    return this.#refuse("token", `${closeCodes.tokenRefused.reason}: ${why}`);
  }

  #refuse(reason: Refused["reason"], detail?: string): Refused {
    this.#counters.refused[reason]++;
    return refused(reason, detail);
  }
}
