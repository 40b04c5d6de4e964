import { setTimeout as delay } from "node:timers/promises";
import type { NatsNode } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import {
  createInbox,
  errors,
  type MsgHdrs,
  type NatsConnection,
  type NatsConnectionImpl,
  type NodeConnectionOptions,
  type Stats,
  type Status,
} from "@nats-io/transport-node";
import type {
  Bus,
  BusHealth,
  BusPublication,
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
import { connectionOptions, connectToNats, inboxPrefix } from "./connect.ts";
import { causeOf } from "./error-cause.ts";
import { encodedHeaderBytes, encodeOptionalHeaders } from "./headers.ts";
import { LivenessProbe } from "./liveness-probe.ts";
import { Requests } from "./requests.ts";
import type { BusConfig } from "./settings.ts";
import { Subscription, type SubscriptionOwner } from "./subscription.ts";
import { CONFIRM_TIMEOUT_MS, WriteQueue } from "./write-queue.ts";

/** A connection on which no probe has returned for this long is not used. */
const STALLED_AFTER_MS = 5_000;
/** A connection that stays open without receiving anything for this long is replaced. */
const REPLACE_AFTER_MS = 15_000;
/** Subjects whose refusal by NATS is remembered. */
const MAX_FORBIDDEN = 10_000;

const PUBLISHED: PublishOutcome = { ok: true };
const UNAVAILABLE: PublishOutcome = { ok: false, reason: "unavailable" };
const UNCONFIRMED: PublishOutcome = { ok: false, reason: "unconfirmed" };
const FORBIDDEN: PublishOutcome = { ok: false, reason: "forbidden" };
const TOO_LARGE: PublishOutcome = { ok: false, reason: "too-large" };
const NEVER_CONNECTED: BusHealth = { alive: false, reason: "NATS has not been reached yet" };
const DISCONNECTED: BusHealth = { alive: false, reason: "not connected to NATS" };
const STALLED: BusHealth = { alive: false, reason: "nothing comes back from NATS" };
const NO_STATS: Stats = { inMsgs: 0, inBytes: 0, outMsgs: 0, outBytes: 0 };

type NatsBusOptions = {
  readonly config: BusConfig;
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly log: Log;
};

/**
 * Opens a bus and waits, without limit, until messages have travelled to NATS and back.
 *
 * @throws when `signal` ends the wait, or the credentials file cannot be read.
 */
export async function startNatsBus(options: NatsBusOptions & { readonly signal: AbortSignal }): Promise<NatsBus> {
  const bus = new NatsBus(options);
  await bus.connect(options.signal);
  return bus;
}

/** A bus without a connection until {@link connect}. Reconnects forever afterwards. */
export class NatsBus implements Bus {
  readonly #options: NodeConnectionOptions;
  readonly #writes: WriteQueue;
  readonly #requests: Requests;
  readonly #owner: SubscriptionOwner;
  readonly #log: Log;
  readonly #probe: LivenessProbe;
  readonly #inboxPrefix: string;
  readonly #probeSubject: string;
  /** Aborts the wait for the first connection. */
  readonly #stopping = new AbortController();
  /** Times at which the server last forbade to publish to a subject, for the last {@link MAX_FORBIDDEN} subjects. */
  readonly #forbiddenAt = new Map<string, number>();
  /** Time of the newest refusal that is no longer in {@link #forbiddenAt}. */
  #forgottenAt = Number.NEGATIVE_INFINITY;
  readonly #connectionListeners: ((isConnected: boolean) => void)[] = [];
  #connection: NatsConnection | undefined;
  #isConnected = false;
  #disconnects = 0;
  #connectedAt = 0;
  #stopped: Promise<void> | undefined;

  /** @throws when the credentials file cannot be read. */
  constructor({ config, name, log }: NatsBusOptions) {
    this.#options = connectionOptions(config, name);
    this.#log = log;
    this.#writes = new WriteQueue(() => this.#isConnected);
    this.#owner = { writes: this.#writes, log };
    this.#inboxPrefix = inboxPrefix(config.credentials);
    this.#requests = new Requests({
      publish: (subject, payload, options) => this.connection.publish(subject, payload, options),
      createInbox: () => this.createInbox(),
      subscribe: (subject, receiver) => this.subscribe(subject, receiver),
    });
    this.#probe = new LivenessProbe((stamp) => this.#sendProbe(stamp));
    this.#probeSubject = this.createInbox();
    this.subscribe(this.#probeSubject, (message) => this.#probe.onReturn(Buffer.from(message.data).toString()));
  }

  /**
   * Connects, without a time limit. Resolves when a message has travelled to NATS and back. Must be called once.
   *
   * @throws when `signal` or {@link stop} ends the wait.
   */
  async connect(signal: AbortSignal): Promise<void> {
    const waiting = AbortSignal.any([signal, this.#stopping.signal]);
    const connection = await connectToNats(this.#options, this.#log, waiting);
    if (waiting.aborted) await connection.close();
    waiting.throwIfAborted();
    this.#attach(connection);

    const onAbort = () => void this.stop();
    signal.addEventListener("abort", onAbort, { once: true });
    await Promise.race([this.#probe.firstReturn, connection.closed()]);
    signal.removeEventListener("abort", onAbort);
    waiting.throwIfAborted();
  }

  /** The client's connection, for the adapters of this package. Throws before the first connection. */
  get connection(): NatsConnection {
    if (this.#connection === undefined) throw new errors.ClosedConnectionError();
    return this.#connection;
  }

  /** Whether there has ever been a connection. */
  get wasConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** First tokens of all inboxes of this bus. */
  get inboxPrefix(): string {
    return this.#inboxPrefix;
  }

  /** Returns a new subject to which nobody else subscribes and to which our user may subscribe. */
  createInbox(): string {
    return createInbox(this.#inboxPrefix);
  }

  /** Number of times the connection was lost. */
  get disconnects(): number {
    return this.#disconnects;
  }

  /** Whether requests may be answered: there is a connection, and it is new or has not stalled. */
  get isUsable(): boolean {
    if (!this.#isConnected) return false;
    const connectedForMs = performance.now() - this.#connectedAt;
    return Math.min(this.#probe.state().returnedAgoMs, connectedForMs) <= STALLED_AFTER_MS;
  }

  /** After a reconnect the bus is alive when a message has returned. Then NATS knows our subscriptions too. */
  health(): BusHealth {
    if (!this.#isConnected) return this.wasConnected ? DISCONNECTED : NEVER_CONNECTED;
    const { returnedAgoMs, roundTripMs } = this.#probe.state();
    if (returnedAgoMs > STALLED_AFTER_MS) return STALLED;
    return { alive: true, roundTripMs };
  }

  maxPayloadBytes(): number {
    return this.#connection?.info?.max_payload ?? 0;
  }

  node(): NatsNode | undefined {
    const info = this.#isConnected ? this.#connection?.info : undefined;
    if (info === undefined) return undefined;
    const { server_name: name, version, cluster } = info;
    return { name, version, ...(cluster !== undefined && { cluster }) };
  }

  async publish(subject: string, content: Uint8Array, headers?: HeaderEntries): Promise<PublishOutcome> {
    const sentAt = performance.now();
    const refusal = this.#canSend() ? this.#queue(subject, content, headers) : UNAVAILABLE;
    return refusal ?? this.#outcome(subject, sentAt, await this.#writes.confirmTick());
  }

  async publishAll(publications: readonly BusPublication[]): Promise<PublishOutcome[]> {
    if (!this.#canSend()) return publications.map(() => UNAVAILABLE);

    const sentAt = performance.now();
    const refusals = publications.map(({ subject, content, headers }) => this.#queue(subject, content, headers));
    const isConfirmed = await this.#writes.confirmTick();
    if (isConfirmed && this.#forbiddenAt.size === 0) return refusals.map((refusal) => refusal ?? PUBLISHED);
    return publications.map(({ subject }, at) => refusals[at] ?? this.#outcome(subject, sentAt, isConfirmed));
  }

  send(subject: string, content: Uint8Array, headers?: HeaderEntries): SendOutcome {
    if (!this.#canSend()) return "unavailable";

    const encoded = encodeOptionalHeaders(headers);
    if (this.#isTooLarge(content, encoded)) return "too-large";
    this.connection.publish(subject, content, encoded && { headers: encoded });
    return "sent";
  }

  confirm(): Promise<boolean> {
    return this.#writes.confirm();
  }

  async request(subject: string, content: Uint8Array, options: RequestOptions): Promise<RequestOutcome> {
    if (!this.isUsable) return { ok: false, reason: "unavailable" };

    const headers = encodeOptionalHeaders(options.headers);
    if (this.#isTooLarge(content, headers)) return { ok: false, reason: "too-large" };
    try {
      const message = await this.#requests.request(subject, content, {
        timeout: options.timeoutMs,
        ...(headers && { headers }),
      });
      return { ok: true, message };
    } catch (error) {
      return { ok: false, reason: requestFailure(error) };
    }
  }

  async gather(subject: string, content: Uint8Array, options: GatherOptions): Promise<GatherOutcome> {
    if (!this.isUsable) return { ok: false, reason: "unavailable" };
    if (this.#isTooLarge(content, undefined)) return { ok: false, reason: "too-large" };

    try {
      return { ok: true, messages: await this.#requests.gather(subject, content, options) };
    } catch (error) {
      return { ok: false, reason: requestFailure(error) === "forbidden" ? "forbidden" : "unavailable" };
    }
  }

  subscribe(subject: string, receiver: Receiver, group?: string): Subscription {
    return new Subscription(this.#owner, { subject, group, receiver });
  }

  onConnection(listener: (isConnected: boolean) => void): void {
    this.#connectionListeners.push(listener);
  }

  traffic(): BusTraffic {
    const { inMsgs, inBytes, outMsgs, outBytes } = this.#connection?.stats() ?? NO_STATS;
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

  #attach(connection: NatsConnection): void {
    this.#log.info({ server: connection.getServer(), version: connection.info?.version }, "connected to NATS");
    this.#connection = connection;
    this.#isConnected = true;
    this.#connectedAt = performance.now();
    // The JetStream client sends its requests through the connection.
    connection.request = this.#requests.request;
    this.#writes.attach(connection);
    this.#probe.start();
    void this.#watchStatus(connection);
  }

  async #drain(): Promise<void> {
    this.#stopping.abort();
    this.#probe.stop();
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.#isConnected) {
      this.#writes.flush();
      // A server that does not answer must not delay the exit.
      await Promise.race([connection.drain(), delay(CONFIRM_TIMEOUT_MS, undefined, { ref: false })]);
    }
    if (!connection.isClosed()) await connection.close();
  }

  #canSend(): boolean {
    return this.isUsable && this.#stopped === undefined;
  }

  /** Queues a publication for the end of this event-loop tick. Returns the outcome when it cannot be sent. */
  #queue(subject: string, content: Uint8Array, headers: HeaderEntries | undefined): PublishOutcome | undefined {
    const encoded = encodeOptionalHeaders(headers);
    if (this.#isTooLarge(content, encoded)) return TOO_LARGE;
    this.#writes.publish({ subject, content, headers: encoded });
    return undefined;
  }

  #outcome(subject: string, sentAt: number, isConfirmed: boolean): PublishOutcome {
    if (!isConfirmed) return UNCONFIRMED;
    // The server reports a refusal before it answers the confirmation's ping.
    const forbiddenAt = this.#forbiddenAt.get(subject);
    if (forbiddenAt !== undefined && forbiddenAt >= sentAt) return FORBIDDEN;
    // The refusal may be among those that were forgotten meanwhile.
    return this.#forgottenAt >= sentAt ? UNCONFIRMED : PUBLISHED;
  }

  #isTooLarge(content: Uint8Array, headers: MsgHdrs | undefined): boolean {
    const headerBytes = headers ? encodedHeaderBytes(headers) : 0;
    return content.length + headerBytes > this.maxPayloadBytes();
  }

  #sendProbe(stamp: string): void {
    if (!this.#isConnected) return;
    this.connection.publish(this.#probeSubject, stamp);

    const stalledForMs = Math.min(this.#probe.state().returnedAgoMs, performance.now() - this.#connectedAt);
    if (stalledForMs > REPLACE_AFTER_MS) {
      this.#log.warn({ stalledForMs }, "NATS connection stalled, reconnecting");
      this.#connectedAt = performance.now();
      // The client's own reconnect() first waits until the socket has written everything. If the server hangs, it never
      // does. Closing with an error destroys the socket at once.
      const { protocol } = this.connection as NatsConnectionImpl;
      void protocol.transport.close(new Error("NATS connection stalled"));
    }
  }

  async #watchStatus(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) this.#onStatus(status);
    this.#requests.stop();
    if (!this.#stopped) this.#log.error("NATS connection closed permanently");
    this.#isConnected = false;
  }

  #onStatus(status: Status): void {
    switch (status.type) {
      case "disconnect":
        if (!this.#isConnected) return;
        this.#isConnected = false;
        this.#disconnects++;
        this.#probe.onLost();
        for (const listener of this.#connectionListeners) listener(false);
        if (!this.#stopped) this.#log.warn({ server: status.server }, "NATS connection lost, reconnecting");
        return;
      case "reconnect":
        this.#isConnected = true;
        this.#connectedAt = performance.now();
        this.#probe.sendNow();
        for (const listener of this.#connectionListeners) listener(true);
        this.#log.info({ server: status.server }, "reconnected to NATS");
        return;
      case "error":
        this.#onError(status.error);
        return;
      case "ldm":
        this.#log.info({ server: status.server }, "NATS server will shut down");
        return;
      case "staleConnection":
        this.#log.warn("NATS does not answer pings, reconnecting");
        return;
      default:
        this.#log.debug({ status: status.type }, "NATS status");
    }
  }

  #onError(error: Error): void {
    if (error instanceof errors.PermissionViolationError && error.operation === "publish") {
      this.#requests.forbid(error);
      this.#rememberForbidden(error.subject);
    }
    this.#log.error({ err: error }, "error from NATS");
  }

  #rememberForbidden(subject: string): void {
    this.#forbiddenAt.delete(subject);
    this.#forbiddenAt.set(subject, performance.now());
    const [oldest] = this.#forbiddenAt;
    if (this.#forbiddenAt.size <= MAX_FORBIDDEN || oldest === undefined) return;
    const [forgotten, forbiddenAt] = oldest;
    this.#forbiddenAt.delete(forgotten);
    this.#forgottenAt = forbiddenAt;
  }
}

function requestFailure(error: unknown): "no-responders" | "timeout" | "unavailable" | "forbidden" {
  const cause = causeOf(error);
  if (cause instanceof errors.NoRespondersError) return "no-responders";
  if (cause instanceof errors.TimeoutError) return "timeout";
  if (cause instanceof errors.PermissionViolationError) return "forbidden";
  return "unavailable";
}
