import type { TemplatedApp, WebSocket } from "uWebSockets.js";
import type { Connection, ConnectionState, ProtocolName } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import type { FrameWriter } from "./frame-batcher.ts";

/** Those who follow the same thing by one protocol, together: each is in the group of everything it follows. */
export interface SubscriberGroups {
  add(group: string, connection: Connection): void;
  remove(group: string, connection: Connection): void;
  /** Removes one that has closed, and must not be touched any more. */
  forget(group: string, connection: Connection): void;
  has(group: string, connection: Connection): boolean;
  /** Connections in the group. */
  count(group: string): number;
  /** Writes one frame to all in the group, or to all but one of them. */
  publish(group: string, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void;
}

export type ProtocolGroups = {
  readonly raw: UwsTopicGroups;
  readonly "fanwire.v1": SetGroups;
  readonly sse: SetGroups;
};

const letters: Record<ProtocolName, string> = { raw: "r", "fanwire.v1": "f", sse: "s" };

/** The name of a group. Short, since uWebSockets.js keeps it and reads it with each publication. */
export function groupName(protocol: ProtocolName, groupId: number): string {
  return letters[protocol] + groupId;
}

/** Of event streams that receive copies of a publication: each needs an id of its own. */
export function copiesGroupName(groupId: number): string {
  return `c${groupId}`;
}

export function openGroups(app: TemplatedApp): ProtocolGroups {
  return { raw: new UwsTopicGroups(app), "fanwire.v1": new SetGroups(), sse: new SetGroups() };
}

/** What uWebSockets.js has beyond what all connections have. */
type Socket = Pick<WebSocket<ConnectionState>, "subscribe" | "unsubscribe" | "isSubscribed" | "publish">;

/**
 * The raw protocol's: the topic group of uWebSockets.js, which shares one frame between all sockets, and writes what several messages bring
 * at once. The connections of this protocol are its WebSockets as they are.
 */
export class UwsTopicGroups implements SubscriberGroups {
  readonly #app: TemplatedApp;

  constructor(app: TemplatedApp) {
    this.#app = app;
  }

  add(group: string, connection: Connection): void {
    (connection as Connection & Socket).subscribe(group);
  }

  remove(group: string, connection: Connection): void {
    (connection as Connection & Socket).unsubscribe(group);
  }

  /** uWebSockets.js has done it. */
  forget(): void {}

  has(group: string, connection: Connection): boolean {
    return connection.getUserData().protocol === "raw" && (connection as Connection & Socket).isSubscribed(group);
  }

  count(group: string): number {
    return this.#app.numSubscribers(group);
  }

  publish(group: string, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void {
    if (except) (except as Connection & Socket).publish(group, frame, isBinary);
    else this.#app.publish(group, frame, isBinary);
  }
}

/**
 * Sets of connections, for protocols where what is to be joined is joined in frames, and each frame is a write anyway. A WebSocket that
 * has never been in a group of uWebSockets.js is written to without a copy, if it is enough.
 */
export class SetGroups implements SubscriberGroups, FrameWriter {
  readonly #groups = new Map<string, Set<Connection>>();

  add(group: string, connection: Connection): void {
    const members = this.#groups.get(group);
    if (members) members.add(connection);
    else this.#groups.set(group, new Set([connection]));
  }

  remove(group: string, connection: Connection): void {
    const members = this.#groups.get(group);
    if (members?.delete(connection) && members.size === 0) this.#groups.delete(group);
  }

  forget(group: string, connection: Connection): void {
    this.remove(group, connection);
  }

  has(group: string, connection: Connection): boolean {
    return this.#groups.get(group)?.has(connection) ?? false;
  }

  count(group: string): number {
    return this.#groups.get(group)?.size ?? 0;
  }

  members(group: string): Iterable<Connection> {
    return this.#groups.get(group) ?? [];
  }

  /** Connections that are looked at to find its members. */
  walked(group: string): number {
    return this.count(group);
  }

  publish(group: string, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void {
    // Once for all of them: each would encode it anew.
    const bytes = typeof frame === "string" ? Buffer.from(frame) : frame;
    // Writing may end a slow one, which takes it out of the set under our hands: a Set allows that.
    for (const connection of this.members(group)) if (connection !== except) connection.send(bytes, isBinary);
  }

  write(group: string, frames: readonly Uint8Array[]): void {
    for (const connection of this.members(group)) {
      for (const frame of frames) if (connection.send(frame, false) === 2) break;
    }
  }
}

/** The members of the raw protocol's groups, which uWebSockets.js does not tell: all connections are asked. */
export class UwsGroupMembers {
  readonly #groups: Pick<SubscriberGroups, "count" | "has">;
  readonly #connections: Pick<Connections<Connection>, "all" | "size">;

  constructor(
    groups: Pick<SubscriberGroups, "count" | "has">,
    connections: Pick<Connections<Connection>, "all" | "size">,
  ) {
    this.#groups = groups;
    this.#connections = connections;
  }

  count(group: string): number {
    return this.#groups.count(group);
  }

  *members(group: string): Iterable<Connection> {
    for (const connection of this.#connections.all()) {
      if (this.#groups.has(group, connection)) yield connection;
    }
  }

  walked(): number {
    return this.#connections.size;
  }
}
