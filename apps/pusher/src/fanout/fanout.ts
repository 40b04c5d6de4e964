import { isUtf8 } from "node:buffer";
import type { BusMessage } from "@fanwire/bus";
import { type DeliveryOutcome, headerNames, parseConnectionAddress } from "@fanwire/protocol";
import type { Connection, ProtocolName } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import type { Counters } from "../connections/counters.ts";
import { type Delivered, encodeFanwire, encodeSse } from "../wire/encoding.ts";
import { DirectWrites, writeEach, writeJoined } from "./direct-writes.ts";
import { FlushWindow } from "./flush-window.ts";
import { FrameBatcher, fanwireJoining, sseJoining, WebSocketFrames } from "./frame-batcher.ts";
import { ProtocolWriter, type Receivers } from "./protocol-writer.ts";
import { RawBatcher } from "./raw-batcher.ts";
import type { Receipts, Subscribable } from "./receipt-counter.ts";
import { SlowConsumerBuffer } from "./slow-consumers.ts";
import { type ProtocolGroups, type SubscriberGroups, UwsGroupMembers } from "./subscriber-groups.ts";
import { TickEnd } from "./tick-end.ts";

/** What this worker listens to on NATS on behalf of its connections. */
export type Followed = Subscribable & {
  /** Some of its subscribers are not in its groups yet. */
  readonly isAwaited: boolean;
  subscribersBy(protocol: ProtocolName): number;
  /** Who follows alone and has joined: it is in no group. */
  readonly only: Connection | undefined;
  groupName(protocol: ProtocolName): string;
  /** Of event streams that receive copies of a publication. */
  readonly copiesGroup: string;
  /** The topic of a message that came in; undefined where there is none. */
  topicOf(message: BusMessage): string | undefined;
};

/** So many connections are looked at to see whether they take what they are sent. */
const MAX_RECENT = 64;

type FanoutParts = {
  readonly workerId: string;
  readonly connections: Connections<Connection>;
  readonly groups: ProtocolGroups;
  readonly counters: Counters;
  readonly receipts: Receipts;
  readonly flushMs: number;
  readonly maxUnsentBytes: number;
};

/** The place of a publication in the history, and where a connection resumes that has this copy of it and not all. */
export type PlaceInHistory = { readonly position: string; readonly resume?: string };

type ToSubscribers = {
  readonly followed: Followed;
  readonly message: BusMessage;
  readonly place: PlaceInHistory | undefined;
};

/** Hands publications to connections: decoded once, encoded once for each protocol, written by the protocol's outlet. */
export class Fanout {
  readonly #parts: FanoutParts;
  readonly #window: FlushWindow<ToSubscribers>;
  readonly #raw: ProtocolWriter<Uint8Array>;
  readonly #fanwire: ProtocolWriter<string>;
  readonly #sse: ProtocolWriter<string>;
  readonly #outlets: readonly Pick<ProtocolWriter<never>, "flush" | "flushTo" | "forget">[];
  readonly #bursts: readonly SlowConsumerBuffer[];
  readonly #drained = new Set<Connection>();
  /** Some of those to whom durable publications were written, one by one or by SSE. */
  readonly #recent = new Set<Connection>();
  readonly #afterDrains = new TickEnd(() => this.#goOn());

  constructor(parts: FanoutParts) {
    this.#parts = parts;
    this.#window = new FlushWindow(parts.flushMs, (publication) => this.#write(publication));
    const { raw, "fanwire.v1": fanwire, sse } = parts.groups;
    const maxBytes = parts.maxUnsentBytes;
    const rawBursts = new SlowConsumerBuffer({ groups: new UwsGroupMembers(raw, parts.connections), maxBytes });
    const fanwireBursts = new SlowConsumerBuffer({ groups: fanwire, maxBytes });
    this.#raw = new ProtocolWriter({
      groups: raw,
      gathered: new RawBatcher(raw, rawBursts),
      own: new DirectWrites(writeEach),
      laggards: rawBursts,
    });
    this.#fanwire = new ProtocolWriter({
      groups: fanwire,
      gathered: new FrameBatcher(new WebSocketFrames(fanwire, fanwireBursts), fanwireJoining),
      own: new DirectWrites(writeJoined(fanwireJoining)),
      laggards: fanwireBursts,
    });
    this.#sse = new ProtocolWriter({
      groups: sse,
      gathered: new FrameBatcher(sse, sseJoining),
      own: new DirectWrites(writeJoined(sseJoining)),
    });
    this.#outlets = [this.#raw, this.#fanwire, this.#sse];
    this.#bursts = [rawBursts, fanwireBursts];
  }

  /** To all connections that follow it, when the window is over. */
  toSubscribers(publication: ToSubscribers): void {
    this.#window.push(publication);
  }

  toConnection(connectionId: number, message: BusMessage): DeliveryOutcome {
    const connection = this.#parts.connections.get(connectionId);
    if (connection === undefined || connection === this.#exceptedConnection(message)) return "gone";

    this.flushTo(connection);
    const sent = sendTo(connection, message);
    if (sent === 2) return "gone";
    this.#count(1, message.data.length);
    return sent === 1 ? "delivered" : "buffered";
  }

  /** Publications wait for the end of the window, and for the end of the turn, to share a frame or a write: no more. */
  flush(): void {
    this.#window.flush();
    for (const outlet of this.#outlets) outlet.flush();
  }

  /** To be called before a connection joins or leaves what it follows, or is sent something else: nothing waits for it any more. */
  flushTo(connection: Connection): void {
    this.#window.flush();
    for (const outlet of this.#outlets) outlet.flushTo(connection);
  }

  /**
   * To be called when what uWebSockets.js kept for a connection was written. More is written at the end of the turn: inside the drain
   * handler uWebSockets.js overlooks that the socket did not take all of a frame that is written without a copy (`us_socket_write2`
   * does not set the loop's `last_write_failed`), and would never write the rest.
   */
  drained(connection: Connection): void {
    this.#drained.add(connection);
    this.#afterDrains.ask();
  }

  /** Connections have not taken half of what may wait for them. */
  get isCongested(): boolean {
    return this.slowConsumerBytes > this.#parts.maxUnsentBytes / 2 || this.#ownWritesAreCongested();
  }

  /** Connections that cannot take a burst as fast as it comes. */
  get slowConsumers(): number {
    return this.#bursts.reduce((sum, { slowConsumers }) => sum + slowConsumers, 0);
  }

  /** Bytes kept for them, once for all of a protocol. */
  get slowConsumerBytes(): number {
    return this.#bursts.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Bytes of them that wait for a connection. */
  waitingFor(connection: Connection): number {
    return this.#bursts.reduce((sum, bursts) => sum + bursts.waitingFor(connection), 0);
  }

  /** It has closed: what waits for it is not written any more. */
  forget(connection: Connection): void {
    this.#drained.delete(connection);
    this.#recent.delete(connection);
    for (const outlet of this.#outlets) outlet.forget(connection);
  }

  #ownWritesAreCongested(): boolean {
    const limit = this.#parts.maxUnsentBytes / 2;
    for (const connection of this.#recent) if (connection.getBufferedAmount() > limit) return true;
    this.#recent.clear();
    return false;
  }

  #goOn(): void {
    for (const connection of this.#drained) for (const bursts of this.#bursts) bursts.drained(connection);
    this.#drained.clear();
  }

  #write({ followed, message, place }: ToSubscribers): void {
    const { groups, receipts } = this.#parts;
    const excepted = this.#exceptedConnection(message);
    const raw = receiversOf(followed, "raw", groups.raw);
    const fanwire = receiversOf(followed, "fanwire.v1", groups["fanwire.v1"]);
    const [sse, sseOfCopies] = eventStreamsOf(followed, groups.sse);

    if (place !== undefined) this.#watchRecent(followed, sse);
    let deliveries = 0;
    if (raw) deliveries += this.#raw.hand(message.data, raw, excepted);
    if (fanwire || sse || sseOfCopies) {
      const topic = followed.topicOf(message);
      const delivered = decode(message, { topic, pattern: followed.pattern, position: place?.position });
      if (fanwire) deliveries += this.#fanwire.hand(encodeFanwire(delivered, place), fanwire, excepted);
      if (sse) deliveries += this.#sse.hand(encodeSse(delivered), sse, excepted);
      if (sseOfCopies) {
        const id = place?.resume ?? delivered.position;
        deliveries += this.#sse.hand(encodeSse({ ...delivered, position: id }), sseOfCopies, excepted);
      }
    }
    this.#count(deliveries, message.data.length);
    const receipt = message.headers?.get(headerNames.receipt);
    if (receipt) {
      const awaited = followed.isAwaited ? countSubscribers(followed) - countReceivers([raw, fanwire, sse]) : 0;
      const exceptedId = excepted?.getUserData().connectionId;
      receipts.note(receipt, { followed, handedTo: deliveries, awaited, exceptedId });
    }
  }

  #watchRecent({ only }: Followed, sse: Receivers | undefined): void {
    if (this.#recent.size >= MAX_RECENT) return;
    if (only) this.#recent.add(only);
    if (sse === undefined || "only" in sse) return;
    for (const connection of this.#parts.groups.sse.members(sse.group)) {
      this.#recent.add(connection);
      if (this.#recent.size >= MAX_RECENT) return;
    }
  }

  #count(deliveries: number, contentBytes: number): void {
    this.#parts.counters.deliveries += deliveries;
    this.#parts.counters.deliveredBytes += deliveries * contentBytes;
  }

  /** The connection of this worker that must not get the publication. */
  #exceptedConnection(message: BusMessage): Connection | undefined {
    const id = exceptedId(message, this.#parts.workerId);
    return id === undefined ? undefined : this.#parts.connections.get(id);
  }
}

/** Undefined: nobody. Asking the group is dear: it is done only while somebody who follows may not be in it yet. */
function receiversOf(
  followed: Followed,
  protocol: ProtocolName,
  groups: Pick<SubscriberGroups, "count">,
): Receivers | undefined {
  const subscribers = followed.subscribersBy(protocol);
  if (subscribers === 0) return undefined;
  const { only } = followed;
  if (only?.getUserData().protocol === protocol) return { only };
  const group = followed.groupName(protocol);
  const members = followed.isAwaited ? groups.count(group) : subscribers;
  const isNobody = members === 0 && (protocol !== "sse" || groups.count(followed.copiesGroup) === 0);
  return isNobody ? undefined : { group, members };
}

function countSubscribers(followed: Followed): number {
  return followed.subscribersBy("raw") + followed.subscribersBy("fanwire.v1") + followed.subscribersBy("sse");
}

function countReceivers(all: readonly (Receivers | undefined)[]): number {
  return all.reduce((sum, each) => sum + (each === undefined ? 0 : "members" in each ? each.members : 1), 0);
}

/** Event streams that receive a publication once, and those that receive copies of it. */
function eventStreamsOf(
  followed: Followed,
  groups: Pick<SubscriberGroups, "count">,
): readonly [plain: Receivers | undefined, ofCopies: Receivers | undefined] {
  const all = receiversOf(followed, "sse", groups);
  if (all === undefined) return [undefined, undefined];
  if ("only" in all) return all.only.getUserData().hasCopies ? [undefined, all] : [all, undefined];
  const copies = groups.count(followed.copiesGroup);
  if (copies === 0) return [all, undefined];
  const plain = groups.count(all.group);
  return [
    plain === 0 ? undefined : { group: all.group, members: plain },
    { group: followed.copiesGroup, members: copies },
  ];
}

/** The connection of this worker that must not get a publication. */
export function exceptedId(message: BusMessage, workerId: string): number | undefined {
  const except = message.headers?.get(headerNames.except);
  if (!except) return undefined;
  const address = parseConnectionAddress(except);
  return address?.workerId === workerId ? address.connectionId : undefined;
}

function sendTo(connection: Connection, message: BusMessage): number {
  switch (connection.getUserData().protocol) {
    case "raw":
      return connection.send(message.data, !isUtf8(message.data));
    case "fanwire.v1":
      return connection.send(encodeFanwire(decode(message, NOWHERE)), false);
    case "sse":
      return connection.send(encodeSse(decode(message, NOWHERE)));
  }
}

type Where = {
  readonly topic: string | undefined;
  readonly pattern: string | undefined;
  readonly position: string | undefined;
};
const NOWHERE: Where = { topic: undefined, pattern: undefined, position: undefined };

export function decode(message: BusMessage, { topic, pattern, position }: Where): Delivered {
  const { data, headers } = message;
  // What came alone from NATS is one already.
  const content = data instanceof Buffer ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const isBinary = !isUtf8(content);
  return {
    data: content.toString(isBinary ? "base64" : "utf8"),
    isBinary,
    event: headers?.get(headerNames.event) || undefined,
    id: headers?.get(headerNames.id) || undefined,
    position,
    topic,
    subscription: topic === pattern ? undefined : pattern,
  };
}
