import { setTimeout as delay } from "node:timers/promises";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { WorkItem } from "./work-queue.ts";

/** Often enough to stay below the time after which JetStream gives an item to somebody else. */
const STILL_HELD_INTERVAL_MS = 10_000;
const CONFIRM_TIMEOUT_MS = 5_000;
const CONFIRM_RETRY_MS = 500;
/** News of a finished item that NATS could not be told for so long comes too late: it has given it out again. */
const MAX_CONFIRM_TRIES = 20;

// What an item's holder tells JetStream.
const FINISHED = "+ACK";
const GIVEN_BACK = "-NAK";
const STILL_HELD = "+WPI";

type InFlightItemParts = {
  readonly message: Msg;
  readonly storedAt: number;
  readonly isRepeated: boolean;
  readonly connection: NatsConnection;
  /** JetStream knows what became of it. */
  onOver(): void;
};

/** An item in our hands: JetStream gives it to nobody else while it hears that we still have it. */
export class InFlightItem implements WorkItem {
  readonly storedAt: number;
  readonly isRepeated: boolean;
  readonly content: Uint8Array;
  readonly #parts: InFlightItemParts;
  readonly #timer: NodeJS.Timeout;
  #reply: string;
  #isOver = false;

  constructor(parts: InFlightItemParts) {
    const { message, storedAt, isRepeated } = parts;
    this.#parts = parts;
    this.storedAt = storedAt;
    this.isRepeated = isRepeated;
    this.content = message.data;
    this.#reply = message.reply ?? "";
    this.#timer = setInterval(() => this.#tell(STILL_HELD), STILL_HELD_INTERVAL_MS);
    this.#timer.unref();
  }

  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    void this.#confirmFinished();
  }

  giveBack(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#tell(GIVEN_BACK);
    this.#parts.onOver();
  }

  /** It came again while it was held. Answers go to the newest delivery; the item is given to nobody twice. */
  onRepeated(message: Msg): void {
    this.#reply = message.reply ?? "";
  }

  /** The news must arrive: otherwise somebody else gets the item too. */
  async #confirmFinished(): Promise<void> {
    for (let tries = 0; tries < MAX_CONFIRM_TRIES && !this.#parts.connection.isClosed(); tries++) {
      try {
        await this.#parts.connection.request(this.#reply, FINISHED, { timeout: CONFIRM_TIMEOUT_MS });
        break;
      } catch {
        await delay(CONFIRM_RETRY_MS, undefined, { ref: false });
      }
    }
    this.#parts.onOver();
  }

  #tell(what: string): void {
    if (!this.#parts.connection.isClosed()) this.#parts.connection.publish(this.#reply, what);
  }
}
