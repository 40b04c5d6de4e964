import type { Subjects } from "@fanwire/protocol";
import type { BusMessage, BusSubscription } from "../connection/bus.ts";
import type { NatsBus } from "../connection/nats-bus.ts";

/** A node that does not answer within this time is dead, or has no leader. The caller retries. */
const TIMEOUT_MS = 1_000;
const CHECK_MS = 250;

type Waiting = { readonly deadline: number; readonly resolve: (message: BusMessage | undefined) => void };

/**
 * Direct gets of the history by sequence. Any replica answers them, and an outdated one may not have a message yet. No
 * answer means "not now", never "not stored".
 */
export class DirectGet {
  readonly #bus: NatsBus;
  readonly #stream: string;
  readonly #waiting = new Map<string, Waiting>();
  #inbox: string | undefined;
  #subscription: BusSubscription | undefined;
  #timer: NodeJS.Timeout | undefined;
  #asked = 0;

  constructor(bus: NatsBus, subjects: Subjects) {
    this.#bus = bus;
    this.#stream = subjects.historyStream;
  }

  /** Returns the message with the headers of {@link storedPlace}, or undefined when no replica returned it in time. */
  get(sequence: number): Promise<BusMessage | undefined> {
    if (!this.#bus.wasConnected) return Promise.resolve(undefined);
    this.#inbox ??= this.#openInbox();
    this.#asked++;
    const token = this.#asked.toString(36);
    const reply = `${this.#inbox}.${token}`;
    return new Promise((resolve) => {
      this.#waiting.set(token, { deadline: performance.now() + TIMEOUT_MS, resolve });
      this.#timer ??= setInterval(() => this.#expire(), CHECK_MS);
      this.#bus.connection.publish(`$JS.API.DIRECT.GET.${this.#stream}`, JSON.stringify({ seq: sequence }), { reply });
    });
  }

  stop(): void {
    for (const token of [...this.#waiting.keys()]) this.#settle(token, undefined);
    this.#subscription?.unsubscribe();
    this.#inbox = undefined;
  }

  #openInbox(): string {
    const inbox = this.#bus.createInbox();
    this.#subscription = this.#bus.subscribe(`${inbox}.*`, (message) => {
      const token = message.subject.slice(inbox.length + 1);
      const isOurs = message.headers?.get("Nats-Stream") === this.#stream;
      this.#settle(token, isOurs ? message : undefined);
    });
    return inbox;
  }

  #settle(token: string, message: BusMessage | undefined): void {
    const waiting = this.#waiting.get(token);
    this.#waiting.delete(token);
    if (this.#waiting.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    waiting?.resolve(message);
  }

  #expire(): void {
    const now = performance.now();
    for (const [token, { deadline }] of this.#waiting) if (deadline <= now) this.#settle(token, undefined);
  }
}
