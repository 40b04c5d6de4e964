import { setTimeout as delay } from "node:timers/promises";
import { type NatsConnection, nanos } from "@nats-io/transport-node";
import type { BusMessage } from "../connection/bus.ts";
import type { WorkItem } from "./work-queue.ts";

/** Below the time after which JetStream redelivers an item. */
const IN_PROGRESS_INTERVAL_MS = 10_000;
const CONFIRM_TIMEOUT_MS = 5_000;
const CONFIRM_RETRY_MS = 500;
/** After this number of failed acknowledgements, NATS has redelivered the item. */
const MAX_CONFIRM_TRIES = 20;

// Acknowledgements of JetStream.
const ACK = "+ACK";
const NAK = "-NAK";
const IN_PROGRESS = "+WPI";

type InFlightItemParts = {
  readonly message: BusMessage;
  readonly storedAt: number;
  readonly isRepeated: boolean;
  readonly connection: NatsConnection;
  /** Called when JetStream has been informed of the outcome. */
  onOver(): void;
};

/** An unacknowledged item. Progress messages prevent JetStream from redelivering it. */
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
    this.#timer = setInterval(() => this.#send(IN_PROGRESS), IN_PROGRESS_INTERVAL_MS);
    this.#timer.unref();
  }

  acknowledge(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    void this.#confirmFinished();
  }

  returnToQueue(delayMs = 0): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#send(delayMs === 0 ? NAK : `${NAK} {"delay":${nanos(delayMs)}}`);
    this.#parts.onOver();
  }

  /** Must be called for a redelivery while the item is in flight. Acknowledges the newest delivery instead. */
  onRepeated(message: BusMessage): void {
    this.#reply = message.reply ?? "";
  }

  /** Retries the acknowledgement, because without it the item is redelivered. */
  async #confirmFinished(): Promise<void> {
    for (let tries = 0; tries < MAX_CONFIRM_TRIES && !this.#parts.connection.isClosed(); tries++) {
      try {
        await this.#parts.connection.request(this.#reply, ACK, { timeout: CONFIRM_TIMEOUT_MS });
        break;
      } catch {
        await delay(CONFIRM_RETRY_MS, undefined, { ref: false });
      }
    }
    this.#parts.onOver();
  }

  #send(what: string): void {
    if (!this.#parts.connection.isClosed()) this.#parts.connection.publish(this.#reply, what);
  }
}
