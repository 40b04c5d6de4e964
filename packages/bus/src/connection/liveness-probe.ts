/** The probe's view of the connection. */
export type ProbeState = { readonly heardAgoMs: number; readonly roundTripMs: number };

const INTERVAL_MS = 1_000;

/**
 * Sends a message through NATS to itself every second. An open socket proves nothing: only what comes back shows that the
 * server, our subscriptions and this process's event loop all work.
 */
export class Probe {
  /** Resolves when the first probe has come back. */
  readonly firstReturn: Promise<void>;

  #onFirstReturn: () => void = () => {};
  readonly #send: (stamp: string) => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #heardAt = Number.NEGATIVE_INFINITY;
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

  /** To be called with the stamp of each probe that comes back. */
  onReturn(stamp: string): void {
    const sentAt = Number(stamp);
    this.#heardAt = this.#now();
    this.#onFirstReturn();
    // One that was stuck somewhere says nothing about now, but that it came is proof enough.
    if (Number.isFinite(sentAt)) this.#roundTripMs = Math.max(0, this.#heardAt - sentAt);
  }

  state(): ProbeState {
    return { heardAgoMs: this.#now() - this.#heardAt, roundTripMs: this.#roundTripMs };
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
