import type { Log } from "@fanwire/service";
import type { Msg } from "@nats-io/transport-node";
import type { Receiver } from "./bus.ts";
import { received } from "./received-message.ts";
import type { WriteQueue } from "./write-queue.ts";

/** State that all subscriptions of a connection share. */
export type SubscriptionOwner = { readonly writes: WriteQueue; readonly log: Log };

/**
 * A subscription of the NATS client with a callback and nothing else. The client's own class also has an iterator, a
 * queue and three promises. They take a kilobyte, which a worker with a hundred thousand topics cannot afford. This
 * class has the members that the client's protocol handler uses (nats-core `protocol.ts`, `Subscriptions` and
 * `ProtocolHandler`).
 */
export class Subscription {
  readonly subject: string;
  readonly queue: string | undefined;
  /** Set by the protocol handler. */
  sid = 0;
  /** Counted by the protocol handler. */
  received = 0;
  readonly #owner: SubscriptionOwner;
  readonly #receiver: Receiver;

  /** Begins when the write queue is written. Throws when the connection is closed. */
  constructor(
    owner: SubscriptionOwner,
    options: { readonly subject: string; readonly group: string | undefined; readonly receiver: Receiver },
  ) {
    this.#owner = owner;
    this.subject = options.subject;
    this.queue = options.group;
    this.#receiver = options.receiver;
    owner.writes.subscribe(this);
  }

  unsubscribe(): void {
    this.#owner.writes.unsubscribe(this);
  }

  endAfter(messages: number): void {
    this.#owner.writes.endAfter(this, messages);
  }

  callback(error: Error | null, message: Msg): void {
    const { log } = this.#owner;
    const { subject } = this;
    if (error) {
      log.error({ err: error, subject }, "NATS refused a subscription");
      return;
    }
    const receiver = this.#receiver;
    try {
      if (typeof receiver === "function") receiver(received(message));
      else receiver.receive(received(message));
    } catch (cause) {
      // An error that leaves this callback would end the client's reader and leave an open connection that receives
      // nothing.
      log.error({ err: cause, subject }, "message from NATS could not be processed");
    }
  }

  /** Receives the messages that are on their way, then ends. */
  drain(): Promise<void> {
    return this.#owner.writes.drain(this);
  }

  /** Called by the protocol handler when it removes the subscription. */
  close(): void {}
}
