import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";

type SubscriptionBounds = {
  /** Maximum messages in a second. */
  readonly messages: number;
  /** Maximum bytes of their content. The message that exceeds them is the last one. */
  readonly bytes: number;
};

type BoundedParts = {
  readonly bus: Pick<Bus, "subscribe" | "confirm">;
  readonly subjects: readonly string[];
  readonly bounds: SubscriptionBounds;
  receive(message: BusMessage): void;
};

type Subscribed = {
  readonly subscription: BusSubscription;
  received: number;
  /** Messages after which NATS ends the subscription. */
  limit: number;
};

/**
 * Subscribes to subjects that may carry any amount of messages. At a bound it unsubscribes for the rest of the second.
 * NATS also stops by itself soon after the bound, so that a busy cluster cannot flood this process.
 */
export class BoundedSubscription {
  readonly #parts: BoundedParts;
  #subscribed: Subscribed[] = [];
  #messagesLeft = 0;
  #bytesLeft = 0;
  #isPaused = false;

  constructor(parts: BoundedParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#refill();
    this.#subscribed = this.#parts.subjects.map((subject) => {
      const subscribed: Subscribed = {
        received: 0,
        limit: 0,
        subscription: this.#parts.bus.subscribe(subject, (message) => {
          subscribed.received++;
          this.#receive(message);
        }),
      };
      this.#limit(subscribed);
      return subscribed;
    });
  }

  /** Must be called once a second. Returns whether messages may have been left out in the last second. */
  nextSecond(): boolean {
    if (this.#isPaused) {
      this.#isPaused = false;
      this.start();
      return true;
    }
    this.#refill();
    void this.#raiseLimits();
    return false;
  }

  stop(): void {
    for (const { subscription } of this.#subscribed) subscription.unsubscribe();
    this.#subscribed = [];
  }

  #receive(message: BusMessage): void {
    if (this.#messagesLeft === 0 || this.#bytesLeft <= 0) {
      this.#pause();
      return;
    }
    this.#messagesLeft--;
    this.#bytesLeft -= message.data.length;
    this.#parts.receive(message);
  }

  #refill(): void {
    this.#messagesLeft = this.#parts.bounds.messages;
    this.#bytesLeft = this.#parts.bounds.bytes;
  }

  /**
   * NATS may have reached the earlier limit, and have ended the subscription, before it reads the new one. Then not one
   * message more arrives, so the subscriptions begin again in the next second, which reports that something was left
   * out.
   */
  async #raiseLimits(): Promise<void> {
    const subscribed = this.#subscribed;
    const raised = subscribed
      .filter(({ received, limit }) => limit < this.#limitAfter(received))
      .map((each) => ({ each, earlier: each.limit }));
    if (raised.length === 0) return;
    for (const { each } of raised) this.#limit(each);
    await this.#parts.bus.confirm();
    const mayHaveEnded = raised.some(({ each, earlier }) => each.received === earlier);
    if (mayHaveEnded && subscribed === this.#subscribed) this.#pause();
  }

  #pause(): void {
    this.#isPaused = true;
    this.stop();
  }

  #limit(subscribed: Subscribed): void {
    subscribed.limit = this.#limitAfter(subscribed.received);
    subscribed.subscription.endAfter(subscribed.limit);
  }

  /** Lets NATS send one message over the bound, which shows that something is left out. */
  #limitAfter(received: number): number {
    return received + this.#parts.bounds.messages + 1;
  }
}
