import type { WebSocket } from "uWebSockets.js";
import type { Grant } from "@fanwire/tokens";
import type { ClientProtocol } from "./client-protocol.ts";
import type { SmallSet } from "./small-set.ts";

/** Counts whole seconds in two small integers of the connection state, without an object for each connection. */
export type InboundCount = { inboundSecond: number; inboundCount: number };

/**
 * The state of each connection: mostly small integers and shared objects, because there may be 100,000 idle
 * connections.
 */
export type ConnectionState = InboundCount & {
  /** 0 until the connection is admitted. */
  connectionId: number;
  /** Number of the app of uWebSockets.js that serves the WebSocket; 0 for other connections. */
  app: number;
  /** Address of the client as a trusted proxy reported it; undefined without such a proxy. */
  readonly forwardedAddress: string | undefined;
  readonly protocol: ClientProtocol;
  /** Unix time in seconds. */
  readonly openedAt: number;
  grant: Grant;
  /** Topics and patterns that the connection is subscribed to. */
  topics: SmallSet<string>;
  /** Those of `topics` that the application subscribed the connection to. A refreshed token does not end them. */
  applicationTopics: SmallSet<string>;
  isOverUnsentLimit: boolean;
  /** Whether topics of the connection overlap, so that it receives copies of a publication. */
  hasCopies: boolean;
};

type NewConnection = Pick<ConnectionState, "connectionId" | "protocol" | "grant"> &
  Partial<Pick<ConnectionState, "forwardedAddress">>;

/** One client connection. WebSockets of uWebSockets.js have this shape; other protocols wrap their responses in it. */
export type Connection = Pick<
  WebSocket<ConnectionState>,
  "getUserData" | "end" | "close" | "getBufferedAmount" | "getRemoteAddressAsText"
> & {
  /** Returns 1: handed to the network; 0: buffered in this process; 2: dropped, and the connection is being closed. */
  send(frame: string | Uint8Array, isBinary?: boolean): number;
  /** Sends everything that `writing` sends in one write. */
  cork(writing: () => void): unknown;
};

/**
 * Returns the state of a new connection. Names each property, because spreading an object and adding to it takes 50
 * times as long.
 */
export function newConnectionState({
  connectionId,
  protocol,
  grant,
  forwardedAddress,
}: NewConnection): ConnectionState {
  return {
    connectionId,
    app: 0,
    forwardedAddress,
    protocol,
    openedAt: Math.floor(Date.now() / 1_000),
    grant,
    topics: undefined,
    applicationTopics: undefined,
    isOverUnsentLimit: false,
    hasCopies: false,
    inboundSecond: 0,
    inboundCount: 0,
  };
}
