import type { BusMessage } from "@fanwire/bus";
import { type DeliveryOutcome, headerNames } from "@fanwire/protocol";
import type { ClientProtocol, Encoding } from "../connections/client-protocol.ts";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import type { Counters } from "../connections/counters.ts";
import type { PresenceChange } from "../wire/presence.ts";
import { DecodedPublication, exceptedId } from "./decoded-publication.ts";
import { FlushScheduler } from "./flush-scheduler.ts";
import type { LocalSubscription } from "./local-subscription.ts";
import { openWriter, type Writer } from "./protocol-writer.ts";
import type { ReceiptCounter } from "./receipt-counter.ts";
import type { SlowConsumerBuffer } from "./slow-consumers.ts";
import type { ProtocolGroups } from "./subscriber-groups.ts";

/** Maximum connections whose unsent bytes are watched. */
const MAX_RECENT = 64;
/** Maximum publications that wait for the end of the flush delay. */
const MAX_DELAYED = 1_000;

type FanoutParts = {
  readonly workerId: string;
  readonly protocols: readonly ClientProtocol[];
  readonly connections: Connections<Connection>;
  readonly groups: ProtocolGroups;
  readonly counters: Counters;
  readonly receipts: ReceiptCounter;
  readonly flushMs: number;
  readonly maxUnsentBytes: number;
};

/**
 * The position of a publication, and where a connection resumes that has this copy of the publication but not all
 * copies.
 */
export type PlaceInHistory = { readonly position: string; readonly resume?: string };

type Delivery = {
  readonly subscription: LocalSubscription;
  readonly message: BusMessage;
  /** Undefined for a live publication. */
  readonly place: PlaceInHistory | undefined;
};

/** A change of the members of a topic, for a group of connections. */
type PresenceDelivery = { readonly groupId: number; readonly change: PresenceChange };

/**
 * Delivers publications to connections: decodes each once, encodes it once for each encoding that has receivers, and
 * writes it.
 */
export class Fanout {
  readonly #parts: FanoutParts;
  readonly #writers: readonly Writer[];
  readonly #writerOf: ReadonlyMap<Encoding, Writer>;
  readonly #slowConsumers: readonly SlowConsumerBuffer[];
  #delayed: (Delivery | PresenceDelivery)[] = [];
  readonly #delay: FlushScheduler;
  #lastChange: {
    readonly change: PresenceChange | undefined;
    readonly messages: Map<Encoding, readonly (string | Uint8Array)[]>;
  } = { change: undefined, messages: new Map() };
  readonly #drained = new Set<Connection>();
  readonly #afterDrains = new FlushScheduler(() => this.#continueDrained());
  /** Some receivers of durable publications that have no {@link SlowConsumerBuffer}, or were the sole subscriber. */
  readonly #recent = new Set<Connection>();

  constructor(parts: FanoutParts) {
    this.#parts = parts;
    const { protocols, groups, maxUnsentBytes, counters } = parts;
    const onUncarried = () => {
      counters.uncarried++;
    };
    this.#writerOf = new Map(
      protocols.flatMap((protocol) =>
        protocol.encodings.map((encoding): [Encoding, Writer] => [
          encoding,
          openWriter(encoding, { protocol, groups: groups.ofEncoding(encoding), maxUnsentBytes, onUncarried }),
        ]),
      ),
    );
    this.#writers = [...this.#writerOf.values()];
    this.#slowConsumers = this.#writers.flatMap(({ slowConsumers }) => slowConsumers ?? []);
    this.#delay = new FlushScheduler(() => this.#flushDelayed(), parts.flushMs);
  }

  /** Delivers to all live connections of the subscription, when the flush delay is over. */
  toSubscribers(delivery: Delivery): void {
    if (this.#parts.flushMs === 0) {
      this.#deliver(delivery);
      return;
    }
    this.#deliverLater(delivery);
  }

  #deliverLater(delivery: Delivery | PresenceDelivery): void {
    this.#delayed.push(delivery);
    if (this.#delayed.length >= MAX_DELAYED) this.#flushDelayed();
    else this.#delay.schedule();
  }

  /** Writes a change to all connections of a group whose protocol reports it, like a publication. */
  writePresence(groupId: number, change: PresenceChange): void {
    if (this.#parts.flushMs === 0) this.#deliverChange({ groupId, change });
    else this.#deliverLater({ groupId, change });
  }

  #deliverChange({ groupId, change }: PresenceDelivery): void {
    for (const [encoding, writer] of this.#writerOf) {
      if (encoding.encodePresence === undefined || !writer.hasMembers(groupId)) continue;
      writer.writeMessages(groupId, this.#encodedChange(change, encoding));
    }
  }

  /** Returns the messages of a change, encoded once for all groups. */
  #encodedChange(change: PresenceChange, encoding: Encoding): readonly (string | Uint8Array)[] {
    if (this.#lastChange.change !== change) this.#lastChange = { change, messages: new Map() };
    const { messages } = this.#lastChange;
    const known = messages.get(encoding) ?? encoding.encodePresence?.(change) ?? [];
    messages.set(encoding, known);
    return known;
  }

  toConnection(connectionId: number, message: BusMessage): DeliveryOutcome {
    const connection = this.#parts.connections.get(connectionId);
    if (connection === undefined || connection === this.#exceptedConnection(message)) return "no-connection";

    this.flushTo(connection);
    const sent = this.#writerFor(connection).send(new DecodedPublication(message, {}), connection);
    if (sent === undefined) return "uncarried";
    if (sent === 2) return "no-connection";
    this.#count(1, message.data.length);
    return sent === 1 ? "delivered" : "buffered";
  }

  /** Writes what waits for the end of the flush delay or of the event-loop tick. */
  flush(): void {
    this.#flushDelayed();
    for (const writer of this.#writers) writer.flush();
  }

  /**
   * Writes everything that is pending for a connection. Must be called before it enters or leaves a group, or is sent
   * something else.
   */
  flushTo(connection: Connection): void {
    this.#flushDelayed();
    for (const writer of this.#writers) writer.flushTo(connection);
  }

  /**
   * Must be called when uWebSockets.js has written what it buffered for a connection. More is written when the tick
   * ends. Inside the drain handler uWebSockets.js does not notice if a socket takes only part of a frame that is
   * written without a copy. It would never write the rest, because `us_socket_write2` does not set `last_write_failed`
   * of the loop.
   */
  drained(connection: Connection): void {
    this.#drained.add(connection);
    this.#afterDrains.schedule();
  }

  /** Whether the buffers of slow consumers, or one recent receiver, hold more than half of the unsent limit. */
  get isCongested(): boolean {
    return this.slowConsumerBytes > this.#parts.maxUnsentBytes / 2 || this.#isRecentCongested();
  }

  get slowConsumers(): number {
    return this.#slowConsumers.reduce((sum, { slowConsumers }) => sum + slowConsumers, 0);
  }

  /** Bytes that are buffered for slow consumers, once for all connections with the same encoding. */
  get slowConsumerBytes(): number {
    return this.#slowConsumers.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Returns how many bytes are buffered for a slow consumer. */
  waitingFor(connection: Connection): number {
    return this.#slowConsumers.reduce((sum, buffer) => sum + buffer.waitingFor(connection), 0);
  }

  /** Drops what is pending for a connection that has closed. */
  forget(connection: Connection): void {
    this.#drained.delete(connection);
    this.#recent.delete(connection);
    for (const writer of this.#writers) writer.forget(connection);
  }

  #flushDelayed(): void {
    if (this.#delayed.length === 0) return;
    this.#delay.cancelDelay();
    const delayed = this.#delayed;
    this.#delayed = [];
    for (const delivery of delayed) {
      if ("change" in delivery) this.#deliverChange(delivery);
      else this.#deliver(delivery);
    }
  }

  #isRecentCongested(): boolean {
    const limit = this.#parts.maxUnsentBytes / 2;
    for (const connection of this.#recent) if (connection.getBufferedAmount() > limit) return true;
    this.#recent.clear();
    return false;
  }

  #continueDrained(): void {
    for (const connection of this.#drained) for (const buffer of this.#slowConsumers) buffer.drained(connection);
    this.#drained.clear();
  }

  #deliver({ subscription, message, place }: Delivery): void {
    const excepted = this.#exceptedConnection(message);
    const { soleSubscriber, groupId } = subscription;
    const publication = new DecodedPublication(message, {
      subscription,
      position: place?.position,
      resume: place?.resume,
    });
    if (soleSubscriber !== undefined) {
      const isExcepted = soleSubscriber === excepted;
      if (place !== undefined) this.#watch(soleSubscriber);
      const deliveries = isExcepted ? 0 : this.#writerFor(soleSubscriber).writeTo(publication, soleSubscriber);
      this.#onDelivered(subscription, message, { deliveries, excepted });
      return;
    }
    let deliveries = 0;
    for (const writer of this.#writers) {
      const members = writer.countReceivers(subscription);
      if (members === 0) continue;
      // Watched before the write, because the write may close connections.
      if (place !== undefined && writer.slowConsumers === undefined) this.#watchMembers(writer, groupId);
      deliveries += writer.write(publication, groupId, members, excepted);
    }
    this.#onDelivered(subscription, message, { deliveries, excepted });
  }

  #onDelivered(
    subscription: LocalSubscription,
    message: BusMessage,
    { deliveries, excepted }: { readonly deliveries: number; readonly excepted: Connection | undefined },
  ): void {
    this.#count(deliveries, message.data.length);
    const receipt = message.headers?.get(headerNames.receipt);
    if (!receipt) return;
    const { waiting } = subscription;
    const exceptedId = excepted?.getUserData().connectionId;
    this.#parts.receipts.note(receipt, { subscription, handedTo: deliveries, waiting, exceptedId });
  }

  #writerFor(connection: Connection): Writer {
    const state = connection.getUserData();
    const writer = this.#writerOf.get(state.protocol.encodingOf(state));
    if (writer === undefined) throw new Error("the protocol is not in the list of protocols");
    return writer;
  }

  #watchMembers(writer: Writer, groupId: number): void {
    if (this.#recent.size >= MAX_RECENT) return;
    for (const connection of writer.members(groupId)) {
      this.#watch(connection);
      if (this.#recent.size >= MAX_RECENT) return;
    }
  }

  #watch(connection: Connection): void {
    if (this.#recent.size < MAX_RECENT) this.#recent.add(connection);
  }

  #count(deliveries: number, contentBytes: number): void {
    this.#parts.counters.deliveries += deliveries;
    this.#parts.counters.deliveredBytes += deliveries * contentBytes;
  }

  /** Returns the connection of this worker that must not receive a publication. */
  #exceptedConnection(message: BusMessage): Connection | undefined {
    const id = exceptedId(message, this.#parts.workerId);
    return id === undefined ? undefined : this.#parts.connections.get(id);
  }
}
