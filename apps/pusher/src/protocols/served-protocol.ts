import type { WebSocket } from "uWebSockets.js";
import type { Bus, History } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { TokenVerifier } from "@fanwire/tokens";
import type { PusherConfig } from "../config.ts";
import type { AwakeClock } from "../connections/awake-clock.ts";
import type { ClientAddresses } from "../connections/client-address.ts";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import type { ConnectionState } from "../connections/connection.ts";
import type { Counters } from "../connections/counters.ts";
import type { Hub } from "../hub/hub.ts";
import type { TimeSlices } from "../pacing/time-slices.ts";
import type { Recovery } from "../recovery/recovery.ts";
import type { HandshakeQuery } from "../wire/handshake-query.ts";
import type { Handshakes } from "./handshake.ts";
import type { InboundLimit } from "./inbound-limit.ts";
import type { UwsApp } from "./uws-app.ts";

/** Parts of the worker that protocols use. */
export type ServingParts = {
  readonly config: PusherConfig;
  readonly workerId: string;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly hub: Hub;
  readonly recovery: Recovery;
  readonly addresses: ClientAddresses;
  readonly handshakes: Handshakes;
  readonly verifier: TokenVerifier;
  readonly counters: Counters;
  readonly clock: AwakeClock;
  readonly history: History;
  /** Shared by commands, handshakes and replays, so that they take one slice of each tick together. */
  readonly slices: TimeSlices;
  readonly log: Log;
};

/** A client protocol, and what serves its connections. */
export type ServedProtocol = WebSocketProtocol | RoutedProtocol;

/** A protocol over the WebSocket route that is shared by all paths. The client selects it by a subprotocol. */
export type WebSocketProtocol = ClientProtocol & {
  /** Undefined for the protocol that serves all clients without a subprotocol of another protocol. */
  readonly subprotocol: string | undefined;
  openSessions(parts: ServingParts, inbound: InboundLimit): WebSocketSessions;
};

/** A protocol that adds routes. */
export type RoutedProtocol = ClientProtocol & {
  /** Adds the routes. Returns what stops the protocol's timers. */
  openRoutes(app: UwsApp, parts: ServingParts): { stop(): void };
};

/** The connections of a WebSocket protocol, from the upgrade on. */
export interface WebSocketSessions {
  /** Called if the handshake is undecided after the upgrade. Messages of the connection must wait for {@link start}. */
  wait(socket: WebSocket<ConnectionState>): void;
  /** Called when the handshake is accepted and the connection has its id and grant. */
  start(socket: WebSocket<ConnectionState>, query: HandshakeQuery): void;
  receive(socket: WebSocket<ConnectionState>, message: ArrayBuffer, isBinary: boolean): void;
  /** Called when the socket has closed, whether or not the session has started. */
  close(socket: WebSocket<ConnectionState>): void;
}
