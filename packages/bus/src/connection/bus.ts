/**
 * What the services need of NATS. Every method answers truthfully about a connection that comes and goes: nothing is
 * buffered silently while it is away.
 */
export interface Bus {
  /** Whether messages go to NATS and come back now; see {@link BusHealth}. */
  health(): BusHealth;
  /** Largest content plus headers that NATS accepts, in bytes; 0 before the first connection. */
  maxPayloadBytes(): number;

  /**
   * Publishes and waits until the NATS server has it. Publications of one turn of the event loop share that round trip;
   * those of one caller keep their order.
   */
  publish(subject: string, content: Uint8Array, headers?: HeaderEntries): Promise<PublishOutcome>;
  /** As {@link publish}, of many in their order, each with its outcome. A promise for each would cost more than the rest. */
  publishAll(publications: readonly BusPublication[]): Promise<PublishOutcome[]>;
  /**
   * Publishes without waiting. `sent`: on its way, in order with all else that this bus publishes; what NATS forbids is
   * only logged. Nothing bounds what waits for a server that is slower than its callers: who sends much asks
   * {@link confirm} from time to time, and stops while the answer is due.
   */
  send(subject: string, content: Uint8Array, headers?: HeaderEntries): SendOutcome;
  /** Hands over what was published and subscribed to so far, so that what is not published by the bus, as an answer, cannot overtake it. */
  writeHeld(): void;
  /** True once the NATS server has all that was published and subscribed to so far; false when it does not say so. */
  confirm(): Promise<boolean>;
  /** Publishes and waits for the first reply. */
  request(subject: string, content: Uint8Array, options: RequestOptions): Promise<RequestOutcome>;
  /** Publishes and gathers replies until none came for `stallMs`, at most for `maxWaitMs`. */
  requestMany(subject: string, content: Uint8Array, options: GatherOptions): Promise<GatherOutcome>;
  /**
   * Publishes and calls `onReply` for each reply, in order, until it is unsubscribed; a reply without content says that nobody
   * listens. `undefined`: not sent.
   */
  gather(subject: string, content: Uint8Array, onReply: (message: BusMessage) => void): BusSubscription | undefined;

  /**
   * Calls `receiver` for each message, in the order in which NATS sends them, in the same turn of the event loop. The
   * message is valid after the call too. An error thrown by it is logged and ends nothing.
   *
   * Of all subscriptions in the cluster with the same `group` only one, at random, gets a message; each subscription
   * counts, also several of one bus.
   */
  subscribe(subject: string, receiver: Receiver, group?: string): BusSubscription;

  /** Calls `listener` when the connection is lost and when it is back, with all subscriptions; the latter is sent at once. */
  onConnection(listener: (isConnected: boolean) => void): void;

  traffic(): BusTraffic;
  /** Handles what has arrived, sends what is pending, closes. May be called twice. */
  stop(): Promise<void>;
}

/** A subset of the NATS client's message, so that the hot path needs no wrapper. Reading its headers never throws. */
export interface BusMessage {
  readonly subject: string;
  /** Where an answer goes; "" or undefined when the sender expects none. */
  readonly reply?: string | undefined;
  readonly data: Uint8Array;
  readonly headers?: { get(name: string): string } | undefined;
  /** False when the sender expects no reply. */
  respond(data: string): boolean;
}

/** An object where there are so many that a function for each would be felt. */
export type Receiver = ((message: BusMessage) => void) | { receive(message: BusMessage): void };

export type HeaderEntries = readonly (readonly [name: string, value: string])[];

export type BusPublication = {
  readonly subject: string;
  readonly content: Uint8Array;
  readonly headers?: HeaderEntries;
};

export type BusSubscription = { readonly subject: string; unsubscribe(): void };

export type BusHealth =
  | { readonly alive: true; readonly roundTripMs: number }
  | { readonly alive: false; readonly reason: string };

/** `unavailable`: not sent. `unconfirmed`: sent, but the connection went before NATS said it has it. */
export type PublishFailure = "unavailable" | "unconfirmed" | "forbidden" | "too-large";
export type SendOutcome = "sent" | "unavailable" | "too-large";
export type PublishOutcome = { readonly ok: true } | { readonly ok: false; readonly reason: PublishFailure };

export type RequestOptions = { readonly timeoutMs: number; readonly headers?: HeaderEntries };
export type RequestFailure = "no-responders" | "timeout" | "unavailable" | "forbidden" | "too-large";
export type RequestOutcome =
  | { readonly ok: true; readonly message: BusMessage }
  | { readonly ok: false; readonly reason: RequestFailure };

export type GatherOptions = { readonly stallMs: number; readonly maxWaitMs: number };
export type GatherOutcome =
  | { readonly ok: true; readonly messages: readonly BusMessage[] }
  | { readonly ok: false; readonly reason: "unavailable" | "forbidden" };

/** Counted since the start of the process, by this side of the connection. */
export type BusTraffic = {
  readonly isConnected: boolean;
  readonly disconnects: number;
  readonly receivedMessages: number;
  readonly receivedBytes: number;
  readonly sentMessages: number;
  readonly sentBytes: number;
};
