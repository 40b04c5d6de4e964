import { isUtf8 } from "node:buffer";
import type { BatchedFrames, ClientProtocol, Encoding, SingleFrames } from "../connections/client-protocol.ts";
import type { Connection } from "../connections/connection.ts";
import type { Publication } from "../wire/publication.ts";
import { DirectWrites, writeBatched, writeEach } from "./direct-writes.ts";
import { BurstWriter, FrameBatcher, MemberWriter } from "./frame-batcher.ts";
import type { LocalSubscription } from "./local-subscription.ts";
import { SingleFrameBatcher } from "./single-frame-batcher.ts";
import { SlowConsumerBuffer } from "./slow-consumers.ts";
import type { SubscriberGroups } from "./subscriber-groups.ts";

/** Batches what is written to groups until the event-loop tick ends. */
type Batcher<Content> = { push(groupId: number, content: Content): void; flush(): void };

type WriterParts<Content extends string | Uint8Array> = {
  readonly protocol: ClientProtocol;
  readonly groups: SubscriberGroups;
  readonly batcher: Batcher<Content>;
  readonly direct: DirectWrites<Content>;
  /** Absent if connections do not report that their socket has drained. */
  readonly slowConsumers?: SlowConsumerBuffer;
  /** Returns undefined for a publication that the protocol cannot carry. */
  encode(publication: Publication): Content | undefined;
  /** Called with each publication that cannot be carried. */
  onUncarried(): void;
  /** Returns a message of another kind as content. */
  toContent(message: string | Uint8Array): Content;
};

/** A writer of any content, as fan-out uses it. */
export type Writer = Omit<ProtocolWriter<never>, never>;

/**
 * Writes publications to the connections that share an encoding, to each in order. Batches those of one event-loop
 * tick.
 */
export class ProtocolWriter<Content extends string | Uint8Array> {
  readonly #parts: WriterParts<Content>;
  readonly #isOnlyEncoding: boolean;

  constructor(parts: WriterParts<Content>) {
    this.#parts = parts;
    this.#isOnlyEncoding = parts.protocol.encodings.length === 1;
  }

  get slowConsumers(): SlowConsumerBuffer | undefined {
    return this.#parts.slowConsumers;
  }

  /** Returns how many members the groups of a subscription have. */
  countReceivers(subscription: LocalSubscription): number {
    const subscribers = subscription.subscribersBy(this.#parts.protocol);
    if (subscribers === 0) return 0;
    // Counted only if some subscribers may not be members, because counting is slow in uWebSockets.js.
    return this.#isOnlyEncoding && !subscription.hasWaitingSubscribers
      ? subscribers
      : this.#parts.groups.count(subscription.groupId);
  }

  members(groupId: number): Iterable<Connection> {
    return this.#parts.groups.members(groupId);
  }

  /** Writes to a group with `members` members, except `excepted`. Returns the number of receivers. */
  write(publication: Publication, groupId: number, members: number, excepted: Connection | undefined): number {
    const { groups, batcher, direct, slowConsumers } = this.#parts;
    const content = this.#encode(publication);
    if (content === undefined) return 0;
    direct.flush();
    if (!excepted || !groups.has(groupId, excepted)) {
      batcher.push(groupId, content);
      return members;
    }
    batcher.flush();
    slowConsumers?.catchUpAll();
    groups.publish(groupId, content, isBinary(content), excepted);
    return members - 1;
  }

  /** Writes messages that are no publications to a group, in order with publications. */
  writeMessages(groupId: number, messages: readonly (string | Uint8Array)[]): void {
    const { batcher, direct, toContent } = this.#parts;
    direct.flush();
    for (const message of messages) batcher.push(groupId, toContent(message));
  }

  hasMembers(groupId: number): boolean {
    return this.#parts.groups.count(groupId) > 0;
  }

  /** Writes to a sole subscriber. Returns the number of receivers. */
  writeTo(publication: Publication, connection: Connection): number {
    const { batcher, direct, slowConsumers } = this.#parts;
    const content = this.#encode(publication);
    if (content === undefined) return 0;
    batcher.flush();
    slowConsumers?.catchUp(connection);
    direct.push(connection, content);
    return 1;
  }

  /**
   * Sends at once, after {@link flushTo}. Returns what `send` of the connection returns, or undefined for a publication
   * that the protocol cannot carry.
   */
  send(publication: Publication, connection: Connection): number | undefined {
    const content = this.#encode(publication);
    return content === undefined ? undefined : connection.send(content, isBinary(content));
  }

  #encode(publication: Publication): Content | undefined {
    const content = this.#parts.encode(publication);
    if (content === undefined) this.#parts.onUncarried();
    return content;
  }

  /** Writes what is pending. */
  flush(): void {
    this.#parts.batcher.flush();
    this.#parts.direct.flush();
  }

  /**
   * Writes what is pending, and everything that is buffered for a connection. Must be called before something else is
   * written to the connection, and before it enters or leaves a group.
   */
  flushTo(connection: Connection): void {
    this.flush();
    this.#parts.slowConsumers?.catchUp(connection);
  }

  /** Drops what is pending for a connection that has closed. */
  forget(connection: Connection): void {
    this.#parts.direct.forget(connection);
    this.#parts.slowConsumers?.forget(connection);
  }
}

function isBinary(content: string | Uint8Array): boolean {
  return typeof content !== "string" && !isUtf8(content);
}

type OpenParts = {
  readonly protocol: ClientProtocol;
  readonly groups: SubscriberGroups;
  readonly maxUnsentBytes: number;
  /** Called with each publication that the protocol cannot carry. */
  onUncarried(): void;
};

export function openWriter(encoding: Encoding, parts: OpenParts): Writer {
  return encoding.frames === "single" ? openSingle(encoding, parts) : openBatched(encoding, parts);
}

function openSingle(
  encoding: SingleFrames,
  { protocol, groups, maxUnsentBytes: maxBytes, onUncarried }: OpenParts,
): Writer {
  const slowConsumers = new SlowConsumerBuffer({ groups, maxBytes });
  return new ProtocolWriter<Uint8Array>({
    protocol,
    groups,
    slowConsumers,
    batcher: new SingleFrameBatcher(groups, slowConsumers),
    direct: new DirectWrites(writeEach),
    encode: encoding.encode,
    onUncarried,
    toContent: (message) => (typeof message === "string" ? Buffer.from(message) : message),
  });
}

function openBatched(
  encoding: BatchedFrames,
  { protocol, groups, maxUnsentBytes: maxBytes, onUncarried }: OpenParts,
): Writer {
  const { batching, reportsDrain, encode } = encoding;
  const slowConsumers = reportsDrain ? new SlowConsumerBuffer({ groups, maxBytes }) : undefined;
  const plain = new MemberWriter(groups);
  return new ProtocolWriter<string>({
    protocol,
    groups,
    ...(slowConsumers && { slowConsumers }),
    batcher: new FrameBatcher(slowConsumers ? new BurstWriter(plain, slowConsumers) : plain, batching),
    direct: new DirectWrites(writeBatched(batching)),
    encode,
    onUncarried,
    toContent: (message) => (typeof message === "string" ? message : Buffer.from(message).toString()),
  });
}
