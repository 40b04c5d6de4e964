import type { NatsNode } from "@fanwire/protocol";

/**
 * The port to NATS. It exists before the first connection: until then every method answers `unavailable`, and
 * subscriptions begin with the connection. It buffers no publication while it is not connected.
 */
export interface Bus {
  /** Whether messages travel to NATS and back now; see {@link BusHealth}. */
  health(): BusHealth;
  /** Maximum content plus headers that NATS accepts, in bytes; 0 before the first connection. */
  maxPayloadBytes(): number;
  /** The node to which the bus is connected, as it introduced itself; undefined while there is no connection. */
  node(): NatsNode | undefined;

  /**
   * Publishes and waits until the NATS server has the message. Publications of one event-loop tick share that round
   * trip. The publications of one caller keep their order.
   */
  publish(subject: string, content: Uint8Array, headers?: HeaderEntries): Promise<PublishOutcome>;
  /**
   * Like {@link publish}, for many in order, with one outcome each. A promise for each would cost more than the rest.
   */
  publishAll(publications: readonly BusPublication[]): Promise<PublishOutcome[]>;
  /**
   * Publishes without waiting, in order with everything else that this bus publishes. If NATS forbids the subject, that
   * is only logged. The amount that waits for a slow server is not bounded, so frequent senders must call {@link
   * confirm} regularly and pause until it resolves.
   */
  send(subject: string, content: Uint8Array, headers?: HeaderEntries): SendOutcome;
  /**
   * Resolves with true once the NATS server has everything published and subscribed so far; with false when it does not
   * confirm.
   */
  confirm(): Promise<boolean>;
  /** Publishes and waits for the first reply. */
  request(subject: string, content: Uint8Array, options: RequestOptions): Promise<RequestOutcome>;
  /** Publishes and gathers replies until one of the limits in {@link GatherOptions} is reached. */
  gather(subject: string, content: Uint8Array, options: GatherOptions): Promise<GatherOutcome>;

  /**
   * Calls `receiver` for each message, in the order in which NATS sends them, in the same event-loop tick. The message
   * stays valid after the call. An error thrown by the receiver is logged and ends nothing.
   *
   * NATS delivers each message to one random subscription among those with the same `group` in the cluster. Several
   * subscriptions of one bus count separately.
   */
  subscribe(subject: string, receiver: Receiver, group?: string): BusSubscription;

  /**
   * Calls `listener` when the connection is lost, and when NATS is connected again with all subscriptions. Not called
   * for the first connection. The listener may publish at once.
   */
  onConnection(listener: (isConnected: boolean) => void): void;

  traffic(): BusTraffic;
  /** Processes what has arrived, sends what is pending, and closes. May be called twice. */
  stop(): Promise<void>;
}

/** A subset of the NATS client's message, so that the hot path needs no wrapper. Reading its headers never throws. */
export interface BusMessage {
  readonly subject: string;
  /** Subject for the reply; "" or undefined when the sender expects none. */
  readonly reply?: string | undefined;
  readonly data: Uint8Array;
  readonly headers?: MessageHeaders | undefined;
  /**
   * Publishes a reply, after everything that was published and subscribed before. Returns false when the sender expects
   * none.
   */
  respond(data: string): boolean;
}

export type MessageHeaders = {
  /** Approximate memory of all headers together. */
  readonly bytes: number;
  /** Returns the value of a header; "" without one. */
  get(name: string): string;
};

/** A function, or an object where a closure for each of many subscriptions would cost memory. */
export type Receiver = ((message: BusMessage) => void) | { receive(message: BusMessage): void };

export type HeaderEntries = readonly (readonly [name: string, value: string])[];

export type BusPublication = {
  readonly subject: string;
  readonly content: Uint8Array;
  readonly headers?: HeaderEntries;
};

export type BusSubscription = {
  readonly subject: string;
  unsubscribe(): void;
  /**
   * NATS ends the subscription when it has sent this many messages, counted from its beginning. So a busy subject
   * cannot flood the subscriber before it unsubscribes. A later call replaces the number, unless it was reached. After
   * a reconnect to NATS there is no limit.
   */
  endAfter(messages: number): void;
};

export type BusHealth =
  | { readonly alive: true; readonly roundTripMs: number }
  | { readonly alive: false; readonly reason: string };

/** `unavailable`: not sent. `unconfirmed`: sent, but the connection was lost before NATS confirmed. */
export type PublishFailure = "unavailable" | "unconfirmed" | "forbidden" | "too-large";
export type SendOutcome = "sent" | "unavailable" | "too-large";
export type PublishOutcome = { readonly ok: true } | { readonly ok: false; readonly reason: PublishFailure };

export type RequestOptions = { readonly timeoutMs: number; readonly headers?: HeaderEntries };
export type RequestFailure = "no-responders" | "timeout" | "unavailable" | "forbidden" | "too-large";
export type RequestOutcome =
  | { readonly ok: true; readonly message: BusMessage }
  | { readonly ok: false; readonly reason: RequestFailure };

export type GatherOptions = {
  readonly maxWaitMs: number;
  /** Also ends after this time without a reply, counted from the last one, or when nobody is subscribed. */
  readonly stallMs?: number;
  /** Ends when it aborts. */
  readonly signal?: AbortSignal;
  /** Without `stallMs` also called, with an empty message, when nobody is subscribed. */
  onReply?(message: BusMessage): void;
};
export type GatherOutcome =
  | { readonly ok: true; readonly messages: readonly BusMessage[] }
  | { readonly ok: false; readonly reason: "unavailable" | "forbidden" | "too-large" };

/** Counts since the start of the process, on this side of the connection. */
export type BusTraffic = {
  readonly isConnected: boolean;
  readonly disconnects: number;
  readonly receivedMessages: number;
  readonly receivedBytes: number;
  readonly sentMessages: number;
  readonly sentBytes: number;
};
