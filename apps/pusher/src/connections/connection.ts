import type { WebSocket } from "uWebSockets.js";
import type { Grant } from "../auth/grant.ts";
import type { InboundCount } from "./inbound-rate.ts";
import type { SmallSet } from "./small-set.ts";

/** By which protocol a connection came in. */
export type ProtocolName = "raw" | "fanwire.v1" | "sse";

/**
 * What hangs on each connection: mostly small integers, and objects shared by many, so that an idle connection stays
 * cheap.
 */
export type ConnectionState = InboundCount & {
  /** 0 as long as it has not been let in. */
  connectionId: number;
  readonly protocol: ProtocolName;
  /** Unix time in seconds. */
  readonly openedAt: number;
  grant: Grant;
  /** Patterns it follows. */
  topics: SmallSet<string>;
  /** Those of `topics` that the application subscribed it to: a refreshed token does not end them. */
  applicationTopics: SmallSet<string>;
  isOverUnsentLimit: boolean;
  /** Some of its topics overlap, so that it receives copies of a publication. */
  hasCopies: boolean;
};

type NewConnection = Pick<ConnectionState, "connectionId" | "protocol" | "grant">;

/**
 * One connection as the edge handles it. A WebSocket of uWebSockets.js is one as it is; the SSE protocol's responses are made
 * to look like it.
 */
export type Connection = Pick<
  WebSocket<ConnectionState>,
  "getUserData" | "end" | "close" | "getBufferedAmount" | "getRemoteAddressAsText"
> & {
  /** 1: handed to the network; 0: waits in our memory; 2: dropped, the connection is being ended. */
  send(frame: string | Uint8Array, isBinary?: boolean): number;
  /** What is sent by `writing` leaves together. */
  cork(writing: () => void): unknown;
};

/** Each property is named: an object that is spread and then added to costs fifty times as much. */
export function newConnectionState({ connectionId, protocol, grant }: NewConnection): ConnectionState {
  return {
    connectionId,
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
