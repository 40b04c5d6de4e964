import type { HttpRequest } from "uWebSockets.js";
import { closeCodes } from "@fanwire/protocol";
import type { TokenRefusal, TokenResult, TokenVerifier } from "@fanwire/tokens";
import { type Grant, mayBePresent, maySubscribe } from "@fanwire/tokens";
import type { GateRefusal } from "../connections/admission.ts";
import type { Counters } from "../connections/counters.ts";
import type { Hub } from "../hub/hub.ts";
import type { TimeSlices } from "../pacing/time-slices.ts";
import { readBearer } from "../wire/credentials.ts";
import { type HandshakeQuery, readHandshakeQuery } from "../wire/handshake-query.ts";
import { type Refused, refused, type TurnedAway, turnedAway } from "./refusals.ts";

/** Maximum bytes of queries and tokens that wait. Clients are refused as by a full worker beyond it. */
const MAX_UNDECIDED_BYTES = 33_554_432;

/** The handshake is accepted. */
type Admitted = { readonly outcome: "admitted"; readonly grant: Grant; readonly query: HandshakeQuery };
export type Decided = Admitted | Refused;
/**
 * The handshake is decided in a later tick, because keys have to be fetched or this tick has decided enough of them.
 */
export type Undecided = {
  readonly outcome: "undecided";
  readonly sent: HandshakeRequest;
  /** Undefined until a later tick. */
  readonly deciding: Promise<Decided> | undefined;
};

type Slices = Pick<TimeSlices, "mayWorkNow" | "turn">;

/** Parts of a request that are needed in later ticks, when uWebSockets.js has forgotten it. */
export type HandshakeRequest = {
  readonly query: string;
  readonly authorization: string;
  readonly offered: readonly string[];
  readonly takesPresence: boolean;
};

/**
 * Decides the handshakes of all protocols. A session starts after that. Thousands of clients may connect in the
 * same tick, so most of their handshakes are decided in later ones.
 */
export class Handshakes {
  readonly #hub: Hub;
  readonly #verifier: TokenVerifier;
  readonly #maxTopics: number;
  readonly #maxConnections: number;
  readonly #counters: Counters;
  readonly #slices: Slices;
  /** Connections whose handshake is not decided yet. */
  #undecided = 0;
  /** Bytes of their queries and tokens. */
  #undecidedBytes = 0;

  constructor(options: {
    readonly hub: Hub;
    readonly verifier: TokenVerifier;
    readonly maxTopics: number;
    readonly maxConnections: number;
    readonly counters: Counters;
    readonly slices: Slices;
  }) {
    this.#hub = options.hub;
    this.#verifier = options.verifier;
    this.#maxTopics = options.maxTopics;
    this.#maxConnections = options.maxConnections;
    this.#counters = options.counters;
    this.#slices = options.slices;
  }

  /**
   * Counts refusals. `offered` are tokens that are neither in the query nor in a header. `takesPresence`: the protocol
   * joins topics of the query with presence. An undecided handshake must be passed to {@link decide}.
   */
  receive(
    request: HttpRequest,
    offered: readonly string[] = [],
    { takesPresence = false } = {},
  ): Decided | Undecided | TurnedAway {
    return this.receiveRequest(request.getHeader("origin"), readHandshakeRequest(request, offered, { takesPresence }));
  }

  /** Like {@link receive}, perhaps in a later tick than the request. */
  receiveRequest(origin: string, sent: HandshakeRequest): Decided | Undecided | TurnedAway {
    const reason = this.#hub.admit(origin) ?? this.#refusalOfUndecided();
    if (reason !== undefined) return turnedAway(reason);
    const decided = this.#slices.mayWorkNow() ? this.#decideRequest(sent) : undefined;
    if (decided !== undefined && !(decided instanceof Promise)) return decided;
    return { outcome: "undecided", sent, deciding: decided };
  }

  /** Undecided connections hold a socket and buffered input, for seconds if the JWKS endpoint is slow. */
  #refusalOfUndecided(): GateRefusal | undefined {
    const hasRoom = this.#undecided + this.#hub.openConnections < this.#maxConnections;
    if (hasRoom && this.#undecidedBytes < MAX_UNDECIDED_BYTES) return undefined;
    this.#counters.refused["connection-limit"]++;
    return "connection-limit";
  }

  /** Resolves in a tick in which the caller may start the session at once. */
  async decide({ sent, deciding }: Undecided): Promise<Decided> {
    const bytes = bytesOf(sent);
    this.#undecided++;
    this.#undecidedBytes += bytes;
    if (deciding === undefined) await this.#slices.turn();
    let decided = deciding ?? this.#decideRequest(sent);
    if (decided instanceof Promise) {
      decided = await decided;
      // The keys may have arrived for thousands of connections.
      await this.#slices.turn();
    }
    this.#undecided--;
    this.#undecidedBytes -= bytes;
    return decided.outcome === "admitted" && this.#hub.isDraining ? this.#refuse("draining") : decided;
  }

  #decideRequest({ query: text, authorization, offered, takesPresence }: HandshakeRequest): Decided | Promise<Decided> {
    const parsed = readHandshakeQuery(text, this.#maxTopics);
    if (!parsed.ok) return this.#refuse("malformed", parsed.problem);
    const { query } = parsed;
    if (query.presence.length > 0 && !takesPresence) {
      return this.#refuse("malformed", "presence=… is for SSE only; WebSocket clients subscribe with presence");
    }
    if (this.#verifier.isOpen) return this.#decide(query, this.#verifier.anonymous);
    const [token, another] = new Set([...query.tokens, ...offered, ...readBearer(authorization)]);
    if (another !== undefined) return this.#refuse("malformed", "several different tokens");
    if (token === undefined) return this.#decide(query, this.#verifier.anonymous);
    const verified = this.#verifier.verify(token);
    if ("ok" in verified) return this.#conclude(query, verified);
    return verified.then((result) => this.#conclude(query, result));
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

/** Returns the length of the texts that a handshake keeps. */
export function bytesOf({ query, authorization, offered }: HandshakeRequest): number {
  return offered.reduce((sum, token) => sum + token.length, query.length + authorization.length);
}

/** Reads what {@link Handshakes.receiveRequest} needs in a later tick. */
export function readHandshakeRequest(
  request: HttpRequest,
  offered: readonly string[],
  { takesPresence = false } = {},
): HandshakeRequest {
  // Contrary to its type, getQuery() returns undefined without a query.
  const query = request.getQuery() ?? "";
  return { query, authorization: request.getHeader("authorization"), offered, takesPresence };
}
