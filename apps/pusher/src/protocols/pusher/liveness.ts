import type { CloseCode } from "@fanwire/protocol";
import type { AwakeClock } from "../../connections/awake-clock.ts";
import { ExpiryBuckets } from "../../connections/expiry-buckets.ts";
import { SlicedWork } from "../../pacing/sliced-work.ts";
import { pusherCodes } from "../../wire/pusher-close-codes.ts";
import type { PusherSession } from "./session.ts";

const STEP_MS = 1_000;
/** All sessions are examined once in this many steps. */
const STEPS_PER_ROUND = 5;
/** Clients ping after the activity timeout. Those that do so must not be pinged at the same moment. */
const GRACE_SECONDS = 10;
const MAX_PONG_SECONDS = 30;
/** As documented by Pusher, in seconds. Clients ping after this time without a message. */
const ACTIVITY_TIMEOUT = 120;

type LivenessParts = {
  readonly clock: AwakeClock;
  readonly sessions: ReadonlySet<PusherSession>;
  readonly idleSeconds: number;
  end(session: PusherSession, closeCode: CloseCode): void;
};

/** Pings idle clients, and closes those that do not answer, or that did not authorize themselves in time. */
export class Liveness {
  readonly #parts: LivenessParts;
  readonly #unauthorized = new ExpiryBuckets();
  /** Connections that may have to be closed, with the time until which they may authorize themselves. */
  readonly #pending = new Map<number, { readonly session: PusherSession; readonly until: number }>();
  readonly #timer: NodeJS.Timeout;
  readonly #work = new SlicedWork();
  #isWorking = false;
  #round: Iterator<PusherSession>;

  constructor(parts: LivenessParts) {
    this.#parts = parts;
    this.#round = parts.sessions.values();
    this.#timer = setInterval(() => this.#begin(), STEP_MS);
  }

  /** Seconds after which a client must ping. */
  get activityTimeout(): number {
    return Math.min(ACTIVITY_TIMEOUT, this.#parts.idleSeconds);
  }

  /** Returns the current second. It does not count a time in which the process was stopped. */
  currentSecond(): number {
    return Math.floor(this.#parts.clock.now() / 1_000);
  }

  /** Closes the session after a time, unless it is authorized by then. */
  expectAuthorization(session: PusherSession): void {
    const { authorizedWithinSeconds: seconds } = session.app;
    if (seconds === 0) return;
    const until = this.#parts.clock.now() + seconds * 1_000;
    this.#pending.set(session.connectionId, { session, until });
    this.#unauthorized.set(session.connectionId, until);
  }

  /** Must be called when a connection has closed. */
  forget({ connectionId }: PusherSession): void {
    this.#unauthorized.clear(connectionId, this.#pending.get(connectionId)?.until);
    this.#pending.delete(connectionId);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Begins a step, which may take several ticks: thousands of clients that connected together are idle together. */
  #begin(): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    this.#work.add(this.#step());
  }

  *#step(): Generator {
    const second = this.currentSecond();
    const count = Math.ceil(this.#parts.sessions.size / STEPS_PER_ROUND);
    for (let examined = 0; examined < count; examined++) {
      const next = this.#round.next();
      if (next.done) {
        this.#round = this.#parts.sessions.values();
        break;
      }
      this.#examine(next.value, second);
      yield;
    }
    yield* this.#endUnauthorized();
    this.#isWorking = false;
  }

  #examine(session: PusherSession, second: number): void {
    const { idleSeconds, end } = this.#parts;
    if (session.pingedAt > 0) {
      if (second - session.pingedAt < Math.min(MAX_PONG_SECONDS, idleSeconds)) return;
      // The socket closes a moment later, and must not be closed again meanwhile.
      session.pingedAt = Number.POSITIVE_INFINITY;
      end(session, pusherCodes.noPong);
    } else if (second - session.lastSeen >= idleSeconds + GRACE_SECONDS) {
      session.pingedAt = second;
      session.socket.ping();
    }
  }

  *#endUnauthorized(): Generator {
    for (const connectionId of this.#unauthorized.take(this.#parts.clock.now())) {
      const session = this.#pending.get(connectionId)?.session;
      this.#pending.delete(connectionId);
      if (session !== undefined && !session.isAuthorized) this.#parts.end(session, pusherCodes.unauthorized);
      yield;
    }
  }
}
