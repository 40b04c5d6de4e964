import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@fanwire/service";
import { createInbox, errors, type MsgHdrs, type NatsConnection, type Status } from "@nats-io/transport-node";
import type {
  Bus,
  BusHealth,
  BusMessage,
  BusPublication,
  BusSubscription,
  BusTraffic,
  GatherOptions,
  GatherOutcome,
  HeaderEntries,
  PublishOutcome,
  Receiver,
  RequestOptions,
  RequestOutcome,
  SendOutcome,
} from "./bus.ts";
import { connectToNats, inboxPrefix } from "./connect.ts";
import { encodedHeaderBytes, encodeOptionalHeaders } from "./headers.ts";
import { Probe } from "./liveness-probe.ts";
import { Requests } from "./requests.ts";
import type { BusConfig } from "./settings.ts";
import { CallbackSubscription, type CallbackSubscriptionOwner } from "./subscription.ts";
import { CONFIRM_TIMEOUT_MS, Outbox } from "./write-queue.ts";

/** A connection on which no probe came back for this long is not used. */
const DEAF_AFTER_MS = 5_000;
/** A connection that stays open without receiving anything for this long is replaced. */
const REPLACE_AFTER_MS = 15_000;
const MAX_FORBIDDEN = 1_000;

const PUBLISHED: PublishOutcome = { ok: true };
const UNAVAILABLE: PublishOutcome = { ok: false, reason: "unavailable" };
const UNCONFIRMED: PublishOutcome = { ok: false, reason: "unconfirmed" };
const FORBIDDEN: PublishOutcome = { ok: false, reason: "forbidden" };
const TOO_LARGE: PublishOutcome = { ok: false, reason: "too-large" };

/**
 * Connects to NATS, as long as that may take, and stays connected: reconnection never gives up. Resolves when messages
 * have gone to NATS and come back.
 */
export async function startNatsBus(options: {
  readonly config: BusConfig;
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly log: Log;
  /** Ends the wait for the first connection. */
  readonly signal: AbortSignal;
}): Promise<NatsBus> {
  const { config, name, log, signal } = options;
  const connection = await connectToNats(config, name, log, signal);
  log.info({ server: connection.getServer(), version: connection.info?.version }, "connected to NATS");
  const bus = new NatsBus(connection, inboxPrefix(config.credentials), log);
  await bus.firstSign(signal);
  return bus;
}

export class NatsBus implements Bus {
  readonly #connection: NatsConnection;
  readonly #outbox: Outbox;
  readonly #requests: Requests;
  readonly #owner: CallbackSubscriptionOwner;
  readonly #log: Log;
  readonly #probe: Probe;
  readonly #inboxPrefix: string;
  readonly #probeSubject: string;
  /** When the server last forbade us to publish to a subject. Holds the last {@link MAX_FORBIDDEN} of them. */
  readonly #forbiddenAt = new Map<string, number>();
  readonly #connectionListeners: ((isConnected: boolean) => void)[] = [];
  #isConnected = true;
  #disconnects = 0;
  #connectedAt = performance.now();
  #stopped: Promise<void> | undefined;

  constructor(connection: NatsConnection, inboxPrefix: string, log: Log) {
    this.#connection = connection;
    this.#outbox = new Outbox(connection, () => this.#isConnected);
    this.#owner = { outbox: this.#outbox, log };
    this.#inboxPrefix = inboxPrefix;
    this.#requests = new Requests({
      connection,
      createInbox: () => this.createInbox(),
      subscribe: (subject, receiver) => this.subscribe(subject, receiver),
      writeHeld: () => this.writeHeld(),
    });
    // The JetStream client asks through the connection.
    connection.request = this.#requests.request;
    this.#probeSubject = this.createInbox();
    this.#log = log;
    this.subscribe(this.#probeSubject, (message) => this.#probe.onReturn(Buffer.from(message.data).toString()));
    this.#probe = new Probe((stamp) => this.#sendProbe(stamp));
    this.#probe.start();
    void this.#watchStatus();
  }

  /** For the adapters beside this file, such as JetStream's. */
  get connection(): NatsConnection {
    return this.#connection;
  }

  /** A new subject that nobody else listens to and that our user may. */
  createInbox(): string {
    return createInbox(this.#inboxPrefix);
  }

  /** Number of times the connection was lost. */
  get disconnects(): number {
    return this.#disconnects;
  }

  /** Rejects, and closes the connection, when `signal` aborts before anything came back. */
  async firstSign(signal: AbortSignal): Promise<void> {
    const onAbort = () => void this.stop();
    signal.addEventListener("abort", onAbort, { once: true });
    await Promise.race([this.#probe.firstReturn, this.#connection.closed()]);
    signal.removeEventListener("abort", onAbort);
    signal.throwIfAborted();
  }

  health(): BusHealth {
    if (!this.#isConnected) return { alive: false, reason: "not connected to NATS" };
    const { heardAgoMs, roundTripMs } = this.#probe.state();
    if (heardAgoMs > DEAF_AFTER_MS) return { alive: false, reason: "nothing comes back from NATS" };
    return { alive: true, roundTripMs };
  }

  maxPayloadBytes(): number {
    return this.#connection.info?.max_payload ?? 0;
  }

  async publish(subject: string, content: Uint8Array, headers?: HeaderEntries): Promise<PublishOutcome> {
    const sentAt = performance.now();
    const refusal = this.#canSend() ? this.#hold(subject, content, headers) : UNAVAILABLE;
    return refusal ?? this.#outcome(subject, sentAt, await this.#outbox.confirmTurn());
  }

  async publishAll(publications: readonly BusPublication[]): Promise<PublishOutcome[]> {
    if (!this.#canSend()) return publications.map(() => UNAVAILABLE);

    const sentAt = performance.now();
    const refusals = publications.map(({ subject, content, headers }) => this.#hold(subject, content, headers));
    const isConfirmed = await this.#outbox.confirmTurn();
    if (isConfirmed && this.#forbiddenAt.size === 0) return refusals.map((refusal) => refusal ?? PUBLISHED);
    return publications.map(({ subject }, at) => refusals[at] ?? this.#outcome(subject, sentAt, isConfirmed));
  }

  send(subject: string, content: Uint8Array, headers?: HeaderEntries): SendOutcome {
    if (!this.#canSend()) return "unavailable";

    const encoded = encodeOptionalHeaders(headers);
    if (this.#isTooLarge(content, encoded)) return "too-large";
    this.writeHeld();
    this.#connection.publish(subject, content, encoded && { headers: encoded });
    return "sent";
  }

  confirm(): Promise<boolean> {
    return this.#outbox.confirm();
  }

  /**
   * Hands over what was published so far in this turn of the event loop, so that what follows cannot overtake it. By itself it
   * is held until the end of the turn: many publications, and the ping that confirms them, are one write then.
   */
  writeHeld(): void {
    this.#outbox.write();
  }

  async request(subject: string, content: Uint8Array, options: RequestOptions): Promise<RequestOutcome> {
    if (!this.health().alive) return { ok: false, reason: "unavailable" };

    const headers = encodeOptionalHeaders(options.headers);
    if (this.#isTooLarge(content, headers)) return { ok: false, reason: "too-large" };
    try {
      const message = await this.#connection.request(subject, content, {
        timeout: options.timeoutMs,
        ...(headers && { headers }),
      });
      return { ok: true, message };
    } catch (error) {
      return { ok: false, reason: requestFailure(error) };
    }
  }

  async requestMany(subject: string, content: Uint8Array, options: GatherOptions): Promise<GatherOutcome> {
    if (!this.health().alive) return { ok: false, reason: "unavailable" };

    try {
      return { ok: true, messages: await this.#requests.requestMany(subject, content, options) };
    } catch (error) {
      return { ok: false, reason: requestFailure(error) === "forbidden" ? "forbidden" : "unavailable" };
    }
  }

  gather(subject: string, content: Uint8Array, onReply: (message: BusMessage) => void): BusSubscription | undefined {
    if (!this.health().alive || this.#isTooLarge(content, undefined)) return undefined;
    const reply = this.createInbox();
    const subscription = this.subscribe(reply, onReply);
    this.writeHeld();
    this.#connection.publish(subject, content, { reply });
    return subscription;
  }

  subscribe(subject: string, receiver: Receiver, group?: string): BusSubscription {
    return new CallbackSubscription(this.#owner, { subject, group, receiver });
  }

  onConnection(listener: (isConnected: boolean) => void): void {
    this.#connectionListeners.push(listener);
  }

  traffic(): BusTraffic {
    const { inMsgs, inBytes, outMsgs, outBytes } = this.#connection.stats();
    return {
      isConnected: this.#isConnected,
      disconnects: this.#disconnects,
      receivedMessages: inMsgs,
      receivedBytes: inBytes,
      sentMessages: outMsgs,
      sentBytes: outBytes,
    };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#drain();
    return this.#stopped;
  }

  async #drain(): Promise<void> {
    this.#probe.stop();
    if (this.#isConnected) {
      this.writeHeld();
      // A server that does not answer must not delay our exit.
      await Promise.race([this.#connection.drain(), delay(CONFIRM_TIMEOUT_MS, undefined, { ref: false })]);
    }
    if (!this.#connection.isClosed()) await this.#connection.close();
  }

  #canSend(): boolean {
    return this.health().alive && this.#stopped === undefined;
  }

  /** To be written at the end of this turn of the event loop. */
  #hold(subject: string, content: Uint8Array, headers: HeaderEntries | undefined): PublishOutcome | undefined {
    const encoded = encodeOptionalHeaders(headers);
    if (this.#isTooLarge(content, encoded)) return TOO_LARGE;
    this.#outbox.publish({ subject, content, headers: encoded });
    return undefined;
  }

  #outcome(subject: string, sentAt: number, isConfirmed: boolean): PublishOutcome {
    if (!isConfirmed) return UNCONFIRMED;
    // The server refuses before it answers the confirmation's ping.
    const forbiddenAt = this.#forbiddenAt.get(subject);
    return forbiddenAt !== undefined && forbiddenAt >= sentAt ? FORBIDDEN : PUBLISHED;
  }

  #isTooLarge(content: Uint8Array, headers: MsgHdrs | undefined): boolean {
    const headerBytes = headers ? encodedHeaderBytes(headers) : 0;
    return content.length + headerBytes > this.maxPayloadBytes();
  }

  #sendProbe(stamp: string): void {
    if (!this.#isConnected) return;
    this.writeHeld();
    this.#connection.publish(this.#probeSubject, stamp);

    const deafForMs = Math.min(this.#probe.state().heardAgoMs, performance.now() - this.#connectedAt);
    if (deafForMs > REPLACE_AFTER_MS) {
      this.#log.warn({ deafForMs }, "NATS connection stalled, reconnecting");
      this.#connectedAt = performance.now();
      void this.#connection.reconnect();
    }
  }

  async #watchStatus(): Promise<void> {
    for await (const status of this.#connection.status()) this.#onStatus(status);
    this.#requests.stop();
    if (!this.#stopped) this.#log.error("the connection to NATS was closed for good");
    this.#isConnected = false;
  }

  #onStatus(status: Status): void {
    switch (status.type) {
      case "disconnect":
        if (!this.#isConnected) return;
        this.#isConnected = false;
        this.#disconnects++;
        for (const listener of this.#connectionListeners) listener(false);
        if (!this.#stopped) this.#log.warn({ server: status.server }, "lost NATS, reconnecting");
        return;
      case "reconnect":
        this.#isConnected = true;
        this.#connectedAt = performance.now();
        this.#probe.sendNow();
        for (const listener of this.#connectionListeners) listener(true);
        this.#log.info({ server: status.server }, "connected to NATS again");
        return;
      case "error":
        this.#onError(status.error);
        return;
      case "ldm":
        this.#log.info({ server: status.server }, "the NATS server announced that it will stop");
        return;
      case "staleConnection":
        this.#log.warn("NATS answers no pings, reconnecting");
        return;
      default:
        this.#log.debug({ status: status.type }, "NATS status");
    }
  }

  #onError(error: Error): void {
    if (error instanceof errors.PermissionViolationError && error.operation === "publish") {
      this.#requests.forbid(error);
      this.#forbiddenAt.delete(error.subject);
      this.#forbiddenAt.set(error.subject, performance.now());
      const [oldest] = this.#forbiddenAt.keys();
      if (this.#forbiddenAt.size > MAX_FORBIDDEN && oldest !== undefined) this.#forbiddenAt.delete(oldest);
    }
    this.#log.error({ err: error }, "NATS reported an error");
  }
}

function requestFailure(error: unknown): "no-responders" | "timeout" | "unavailable" | "forbidden" {
  const cause = error instanceof errors.RequestError ? (error.cause ?? error) : error;
  if (error instanceof errors.NoRespondersError || cause instanceof errors.NoRespondersError) return "no-responders";
  if (error instanceof errors.TimeoutError || cause instanceof errors.TimeoutError) return "timeout";
  if (cause instanceof errors.PermissionViolationError) return "forbidden";
  return "unavailable";
}
