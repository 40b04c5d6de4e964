import type { Log } from "@fanwire/service";
import { errors, type Msg, type SubscriptionImpl } from "@nats-io/transport-node";
import type { Receiver } from "./bus.ts";
import { received } from "./received-message.ts";
import type { Outbox } from "./write-queue.ts";

/** What all subscriptions of a connection share. */
export type CallbackSubscriptionOwner = { readonly outbox: Outbox; readonly log: Log };

/**
 * A subscription of the NATS client with a callback and nothing else. The client's own has an iterator, a queue and three
 * promises too, a kilobyte of them, which a worker with a hundred thousand topics would pay for without using them. It has
 * the members that the client's protocol handler asks for (nats-core `protocol.ts`, `Subscriptions` and `ProtocolHandler`).
 */
export class CallbackSubscription {
  readonly subject: string;
  readonly queue: string | undefined;
  /** Given by the protocol handler. */
  sid = 0;
  /** Counted by the protocol handler. */
  received = 0;
  readonly #owner: CallbackSubscriptionOwner;
  readonly #receiver: Receiver;

  /** Begins when the outbox is written. Throws when the connection is closed. */
  constructor(
    owner: CallbackSubscriptionOwner,
    options: { readonly subject: string; readonly group: string | undefined; readonly receiver: Receiver },
  ) {
    const { outbox } = owner;
    if (outbox.protocol.isClosed()) throw new errors.ClosedConnectionError();
    this.#owner = owner;
    this.subject = options.subject;
    this.queue = options.group;
    this.#receiver = options.receiver;
    outbox.protocol.subscriptions.add(known(this));
    outbox.command(`SUB ${this.subject}${this.queue === undefined ? "" : ` ${this.queue}`} ${this.sid}`);
  }

  unsubscribe(): void {
    const { outbox } = this.#owner;
    outbox.command(`UNSUB ${this.sid}`);
    outbox.protocol.subscriptions.cancel(known(this));
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
      // An error that leaves this callback would end the client's reader and leave a deaf, open connection.
      log.error({ err: cause, subject }, "a message from NATS could not be handled");
    }
  }

  /** Hears what is on its way to it, then ends. */
  async drain(): Promise<void> {
    const { outbox } = this.#owner;
    outbox.command(`UNSUB ${this.sid}`);
    await outbox.confirm();
    outbox.protocol.subscriptions.cancel(known(this));
  }

  /** The protocol handler says so when it forgets us. */
  close(): void {}
}

/** As the type that the protocol handler asks for, of which it uses nothing but the members above. */
function known(subscription: CallbackSubscription): SubscriptionImpl {
  return subscription as unknown as SubscriptionImpl;
}
