import type { WebSocket } from "uWebSockets.js";
import { formatSocketId, type PusherApp } from "@fanwire/pusher-protocol";
import type { ConnectionState } from "../../connections/connection.ts";
import type { Member } from "../../wire/presence.ts";
import type { HeldCommands } from "../held-commands.ts";

export type PusherSocket = WebSocket<ConnectionState>;

/** A channel that a client is subscribed to, or is about to be. */
export type SubscribedChannel = {
  /** Undefined for the channel of the signed-in user, which is no topic. */
  readonly topic: string | undefined;
  /** On presence channels, who the client is. */
  readonly member: Member | undefined;
  /** Whether the success of the subscription was sent. */
  isLive: boolean;
  /** Number of repeated subscribe commands before that. Each is answered. */
  repeats: number;
};

export type SignedInUser = { readonly id: string; readonly info: unknown };

const NO_CHANNELS: ReadonlyMap<string, SubscribedChannel> = new Map();

/** One connection of a Pusher client. */
export class PusherSession {
  readonly socket: PusherSocket;
  readonly app: PusherApp;
  user: SignedInUser | undefined;
  /** Whether the client has signed in, or has subscribed to a private or presence channel. */
  isAuthorized = false;
  isClosed = false;
  /** Frames that wait for a slice of time. */
  held: HeldCommands | undefined;
  /** Second of the process in which the client last sent something. */
  lastSeen: number;
  /** Second in which an idle client was pinged; 0 if it has answered. */
  pingedAt = 0;
  /** Client events that it may still send, and the time of that count in milliseconds. */
  allowance: number;
  allowanceAt = 0;
  readonly #workerId: string;
  // Most connections of a large application have few channels, and idle ones have none.
  #channels: Map<string, SubscribedChannel> | undefined;

  constructor(socket: PusherSocket, app: PusherApp, { workerId, second }: { workerId: string; second: number }) {
    this.socket = socket;
    this.app = app;
    this.#workerId = workerId;
    this.lastSeen = second;
    this.allowance = app.clientEventsPerSecond;
  }

  get socketId(): string {
    return formatSocketId({ workerId: this.#workerId, connectionId: this.connectionId });
  }

  get connectionId(): number {
    return this.socket.getUserData().connectionId;
  }

  get channels(): ReadonlyMap<string, SubscribedChannel> {
    return this.#channels ?? NO_CHANNELS;
  }

  addChannel(name: string, channel: SubscribedChannel): void {
    this.#channels ??= new Map();
    this.#channels.set(name, channel);
  }

  removeChannel(name: string): void {
    this.#channels?.delete(name);
  }

  /**
   * Whether this subscription to a channel is still wanted. The client may unsubscribe, and subscribe again, meanwhile.
   */
  has(name: string, channel: SubscribedChannel): boolean {
    return !this.isClosed && this.channels.get(name) === channel;
  }

  send(frame: string): void {
    if (!this.isClosed) this.socket.send(frame, false);
  }
}
