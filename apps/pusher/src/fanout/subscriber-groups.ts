import type { WebSocket } from "uWebSockets.js";
import type { ClientProtocol, Encoding } from "../connections/client-protocol.ts";
import type { Connection, ConnectionState } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";

/** The connections that share an encoding, in one group for each subscription that delivers to them. */
export interface SubscriberGroups {
  add(groupId: number, connection: Connection): void;
  remove(groupId: number, connection: Connection): void;
  /** Removes a connection that has closed, without touching it. */
  forget(groupId: number, connection: Connection): void;
  has(groupId: number, connection: Connection): boolean;
  count(groupId: number): number;
  members(groupId: number): Iterable<Connection>;
  /** Returns how many connections {@link members} examines. */
  walked(groupId: number): number;
  /** Writes one frame to all members, except `except`. */
  publish(groupId: number, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void;
}

/** Topics of uWebSockets.js, over all apps of the port. */
export interface UwsTopics {
  numSubscribers(topic: string): number;
  /** Writes one frame to all WebSockets of a topic, except `except`, which must be one of them. */
  publish(topic: string, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void;
}

type Clients = Pick<Connections<Connection>, "all" | "size">;

/** The groups of all protocols. */
export class ProtocolGroups {
  readonly #single = new Map<Encoding, UwsTopicGroups>();
  readonly #batched = new Map<Encoding, SetGroups>();

  constructor(protocols: readonly ClientProtocol[], topics: UwsTopics, connections: Clients) {
    for (const protocol of protocols) {
      for (const encoding of protocol.encodings) {
        if (encoding.frames === "batched") this.#batched.set(encoding, new SetGroups());
        else {
          const prefix = this.#single.size;
          this.#single.set(encoding, new UwsTopicGroups({ topics, protocol, connections, prefix }));
        }
      }
    }
  }

  /** Returns the groups that a connection enters now. */
  of(connection: Connection): SubscriberGroups {
    const state = connection.getUserData();
    return this.ofEncoding(state.protocol.encodingOf(state));
  }

  ofEncoding(encoding: Encoding): SubscriberGroups {
    const groups = this.#batched.get(encoding) ?? this.#single.get(encoding);
    if (groups === undefined) throw new Error("the protocol is not in the list of protocols");
    return groups;
  }
}

/** The methods that only WebSockets of uWebSockets.js have. */
type Socket = Pick<WebSocket<ConnectionState>, "subscribe" | "unsubscribe" | "isSubscribed">;

/**
 * Topics of uWebSockets.js. It shares one frame between all sockets of a topic, and writes several publications
 * together to a socket. Members must be its WebSockets.
 */
export class UwsTopicGroups implements SubscriberGroups {
  readonly #topics: UwsTopics;
  readonly #protocol: ClientProtocol;
  readonly #connections: Clients;
  readonly #prefix: string;

  constructor(parts: {
    readonly topics: UwsTopics;
    readonly protocol: ClientProtocol;
    readonly connections: Clients;
    /** Distinguishes the topics of several encodings. */
    readonly prefix: number;
  }) {
    this.#topics = parts.topics;
    this.#protocol = parts.protocol;
    this.#connections = parts.connections;
    this.#prefix = `${parts.prefix}.`;
  }

  /** Short, because uWebSockets.js reads the name with each publication. */
  #topic(groupId: number): string {
    return this.#prefix + groupId;
  }

  add(groupId: number, connection: Connection): void {
    (connection as Connection & Socket).subscribe(this.#topic(groupId));
  }

  remove(groupId: number, connection: Connection): void {
    (connection as Connection & Socket).unsubscribe(this.#topic(groupId));
  }

  /** Does nothing, because uWebSockets.js has removed the connection. */
  forget(): void {}

  has(groupId: number, connection: Connection): boolean {
    return this.#isMember(this.#topic(groupId), connection);
  }

  count(groupId: number): number {
    return this.#topics.numSubscribers(this.#topic(groupId));
  }

  /** Asks all connections, because uWebSockets.js does not list the sockets of a topic. */
  *members(groupId: number): Iterable<Connection> {
    const topic = this.#topic(groupId);
    for (const connection of this.#connections.all()) if (this.#isMember(topic, connection)) yield connection;
  }

  walked(): number {
    return this.#connections.size;
  }

  publish(groupId: number, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void {
    this.#topics.publish(this.#topic(groupId), frame, isBinary, except);
  }

  #isMember(topic: string, connection: Connection): boolean {
    return (
      connection.getUserData().protocol === this.#protocol && (connection as Connection & Socket).isSubscribed(topic)
    );
  }
}

/**
 * Sets of connections, for encodings whose publications share frames: each frame is a write in any case. uWebSockets.js
 * writes large frames without a copy to a WebSocket that was never in one of its topics.
 */
export class SetGroups implements SubscriberGroups {
  readonly #groups = new Map<number, Set<Connection>>();

  add(groupId: number, connection: Connection): void {
    const members = this.#groups.get(groupId);
    if (members) members.add(connection);
    else this.#groups.set(groupId, new Set([connection]));
  }

  remove(groupId: number, connection: Connection): void {
    const members = this.#groups.get(groupId);
    if (members?.delete(connection) && members.size === 0) this.#groups.delete(groupId);
  }

  forget(groupId: number, connection: Connection): void {
    this.remove(groupId, connection);
  }

  has(groupId: number, connection: Connection): boolean {
    return this.#groups.get(groupId)?.has(connection) ?? false;
  }

  count(groupId: number): number {
    return this.#groups.get(groupId)?.size ?? 0;
  }

  members(groupId: number): Iterable<Connection> {
    return this.#groups.get(groupId) ?? [];
  }

  walked(groupId: number): number {
    return this.count(groupId);
  }

  publish(groupId: number, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void {
    // Encoded once, because each connection would encode a string again.
    const bytes = typeof frame === "string" ? Buffer.from(frame) : frame;
    // Writing may close a slow consumer, which deletes it during the iteration. A Set allows that.
    for (const connection of this.members(groupId)) if (connection !== except) connection.send(bytes, isBinary);
  }
}
