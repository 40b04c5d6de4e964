import { isAllowedOrigin } from "@fanwire/service";

/** Why a handshake was refused. Label of a metric. */
export type RefusalReason = GateRefusal | RequestRefusal | "malformed" | "token" | "token-keys" | "topic";
/** The request is not a WebSocket handshake that this worker accepts. */
export type RequestRefusal = "path" | "upgrade" | "handshake" | "app";
/** Decided before the query is read. */
export type GateRefusal = "draining" | "connection-limit" | "handshake-rate" | "origin";
export type Admission = { readonly ok: true } | { readonly ok: false; readonly reason: GateRefusal };

const ADMITTED: Admission = { ok: true };

/** Decides which handshakes become connections. */
export class Gate {
  readonly #maxConnections: number;
  readonly #perSecond: number;
  readonly #origins: readonly string[];
  readonly #now: () => number;
  #isDraining = false;
  #allowance: number;
  #refilledAt: number;

  /** `now` returns milliseconds. A `handshakesPerSecond` of 0 means no limit. */
  constructor(options: {
    readonly maxConnections: number;
    readonly handshakesPerSecond: number;
    readonly origins: readonly string[];
    readonly now: () => number;
  }) {
    this.#maxConnections = options.maxConnections;
    this.#perSecond = options.handshakesPerSecond;
    this.#origins = options.origins;
    this.#now = options.now;
    this.#allowance = options.handshakesPerSecond;
    this.#refilledAt = options.now();
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  drain(): void {
    this.#isDraining = true;
  }

  admit(origin: string, openConnections: number): Admission {
    if (this.#isDraining) return { ok: false, reason: "draining" };
    if (!isAllowedOrigin(origin, this.#origins)) return { ok: false, reason: "origin" };
    if (openConnections >= this.#maxConnections) return { ok: false, reason: "connection-limit" };
    if (!this.#takeHandshake()) return { ok: false, reason: "handshake-rate" };
    return ADMITTED;
  }

  /** Takes a token of a bucket that holds the handshakes of one second. */
  #takeHandshake(): boolean {
    if (this.#perSecond === 0) return true;
    const now = this.#now();
    const earned = ((now - this.#refilledAt) / 1_000) * this.#perSecond;
    this.#allowance = Math.min(this.#perSecond, this.#allowance + earned);
    this.#refilledAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}
