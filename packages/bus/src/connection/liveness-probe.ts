/** The probe's view of the connection. */
export type ProbeState = { readonly returnedAgoMs: number; readonly roundTripMs: number };

const INTERVAL_MS = 1_000;

/**
 * Sends a message through NATS to itself every second. An open socket proves nothing: only a message that returns
 * shows that the server, our subscriptions and this process's event loop all work.
 */
export class LivenessProbe {
  /** Resolves when the first probe has returned. */
  readonly firstReturn: Promise<void>;

  #onFirstReturn: () => void = () => {};
  readonly #send: (stamp: string) => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #returnedAt = Number.NEGATIVE_INFINITY;
  #roundTripMs = 0;

  constructor(send: (stamp: string) => void, now: () => number = () => performance.now()) {
    this.#send = send;
    this.#now = now;
    this.firstReturn = new Promise((resolve) => {
      this.#onFirstReturn = resolve;
    });
  }

  start(): void {
    this.#timer = setInterval(() => this.sendNow(), INTERVAL_MS);
    this.sendNow();
  }

  sendNow(): void {
    this.#send(String(this.#now()));
  }

  /** Must be called with the stamp of each probe that returns. */
  onReturn(stamp: string): void {
    const sentAt = Number(stamp);
    this.#returnedAt = this.#now();
    this.#onFirstReturn();
    // A delayed probe proves that the connection works, even though its time is no longer current.
    if (Number.isFinite(sentAt)) this.#roundTripMs = Math.max(0, this.#returnedAt - sentAt);
  }

  /** Must be called when the connection is lost. Its probes prove nothing about the next one. */
  onLost(): void {
    this.#returnedAt = Number.NEGATIVE_INFINITY;
  }

  state(): ProbeState {
    return { returnedAgoMs: this.#now() - this.#returnedAt, roundTripMs: this.#roundTripMs };
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
