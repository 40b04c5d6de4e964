import { setImmediate as nextTick } from "node:timers/promises";
import {
  errors,
  type MsgHdrs,
  type NatsConnection,
  type NatsConnectionImpl,
  type ProtocolHandler,
  type SubscriptionImpl,
} from "@nats-io/transport-node";
import { CoalescedRequest } from "./coalesced-request.ts";
import { type Command, encodeProtocol, type PlainPublication } from "./protocol-encoder.ts";
import { withTimeout } from "./timeout.ts";

/** Maximum wait for a confirmation by the server. After it, the outcome of what was sent is unknown. */
export const CONFIRM_TIMEOUT_MS = 2_000;

type QueuedPublication = PlainPublication & { readonly headers: MsgHdrs | undefined };
type Queued = QueuedPublication | Command;

/** The members of a subscription that the queue needs; the protocol handler sets `sid`. */
type QueuedSubscription = { readonly subject: string; readonly queue: string | undefined; readonly sid: number };

/**
 * Queues publications and subscriptions for the NATS client, in order, so that many become one write that one ping
 * confirms. Publications wait for the end of their event-loop tick. Subscriptions also wait for a confirmation that is
 * under way: otherwise ten thousand new connections, each in its own tick, would cost ten thousand writes and pings.
 * Everything that the client publishes itself, such as a reply, is written after what is queued.
 */
export class WriteQueue {
  readonly #isConnected: () => boolean;
  readonly #confirmations = new CoalescedRequest(() => this.confirmTick());
  /** Subscriptions from before the first connection. */
  readonly #early = new Set<QueuedSubscription>();
  #connection: NatsConnection | undefined;
  #protocol: ProtocolHandler | undefined;
  #queued: Queued[] = [];
  #tick: Promise<boolean> | undefined;

  constructor(isConnected: () => boolean) {
    this.#isConnected = isConnected;
  }

  /** Must be called once, with the first connection. */
  attach(connection: NatsConnection): void {
    // Every connection has this class. Its interface hides the protocol handler.
    const { protocol } = connection as NatsConnectionImpl;
    this.#connection = connection;
    this.#protocol = protocol;
    const publish = protocol.publish.bind(protocol);
    protocol.publish = (subject, payload, options) => {
      this.flush();
      publish(subject, payload, options);
    };
    for (const subscription of this.#early) this.subscribe(subscription);
    this.#early.clear();
  }

  /** Must be followed by {@link confirmTick}, which writes it. */
  publish(publication: QueuedPublication): void {
    this.#queued.push(publication);
  }

  /** Throws when the connection is closed permanently. */
  subscribe(subscription: QueuedSubscription): void {
    const protocol = this.#protocol;
    if (protocol === undefined) {
      this.#early.add(subscription);
      return;
    }
    if (protocol.isClosed()) throw new errors.ClosedConnectionError();
    protocol.subscriptions.add(asImplementation(subscription));
    const { subject, queue, sid } = subscription;
    this.#command(`SUB ${subject}${queue === undefined ? "" : ` ${queue}`} ${sid}`);
  }

  unsubscribe(subscription: QueuedSubscription): void {
    if (this.#early.delete(subscription) || this.#protocol === undefined) return;
    this.#command(`UNSUB ${subscription.sid}`);
    this.#protocol.subscriptions.cancel(asImplementation(subscription));
  }

  /** Limits the messages that the server sends for a subscription. Has no effect before the first connection. */
  endAfter(subscription: QueuedSubscription, messages: number): void {
    if (this.#protocol !== undefined) this.#command(`UNSUB ${subscription.sid} ${messages}`);
  }

  /** Unsubscribes after the messages that are on their way have been received. */
  async drain(subscription: QueuedSubscription): Promise<void> {
    this.#command(`UNSUB ${subscription.sid}`);
    await this.confirm();
    this.#protocol?.subscriptions.cancel(asImplementation(subscription));
  }

  /** Writes what is queued, so that nothing can overtake it. */
  flush(): void {
    if (this.#queued.length === 0) return;
    const all = this.#queued;
    this.#queued = [];
    let plain: Queued[] = [];
    for (const queued of all) {
      if (typeof queued === "string" || queued.headers === undefined) {
        plain.push(queued);
        continue;
      }
      this.#send(plain);
      plain = [];
      this.#connection?.publish(queued.subject, queued.content, { headers: queued.headers });
    }
    this.#send(plain);
  }

  /**
   * Resolves with true once the server has everything that was queued or written before this call. One ping is under
   * way at a time.
   */
  confirm(): Promise<boolean> {
    return this.#confirmations.get();
  }

  /** Like {@link confirm}, for everything up to the end of this tick, without waiting for an earlier confirmation. */
  confirmTick(): Promise<boolean> {
    this.#tick ??= this.#confirmAfterThisTick();
    return this.#tick;
  }

  #command(command: Command): void {
    this.#queued.push(command);
    void this.confirm();
  }

  /** Sends a ping, which the server answers after everything before it. */
  async #confirmAfterThisTick(): Promise<boolean> {
    await nextTick();
    this.#tick = undefined;
    if (!this.#isConnected()) {
      // Commands stay, because nats.js may already have resubscribed from its list without them.
      this.#queued = this.#queued.filter((queued) => typeof queued === "string");
      this.flush();
      return false;
    }
    const isConfirmed = await this.#ping();
    // Errors arrive through an iterator: one tick later, those from before the pong have been handled.
    await nextTick();
    return isConfirmed;
  }

  #send(plain: readonly Queued[]): void {
    if (plain.length === 0 || this.#protocol === undefined) return;
    for (const queued of plain) if (typeof queued !== "string") count(this.#protocol, queued);
    this.#protocol.sendCommand(encodeProtocol(plain));
  }

  async #ping(): Promise<boolean> {
    if (this.#connection === undefined) return false;
    try {
      this.flush();
      const pong = this.#connection.flush().then(() => true);
      return (await withTimeout(CONFIRM_TIMEOUT_MS, pong)) ?? false;
    } catch {
      return false;
    }
  }
}

/** Counts a publication like the client does. */
function count(protocol: ProtocolHandler, { content }: PlainPublication): void {
  protocol.outMsgs++;
  protocol.outBytes += content.length;
}

/** Casts to the type that the protocol handler expects, of which it uses only the members of our own class. */
function asImplementation(subscription: QueuedSubscription): SubscriptionImpl {
  return subscription as unknown as SubscriptionImpl;
}
