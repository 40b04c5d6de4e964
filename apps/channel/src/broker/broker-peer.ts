import type { CloseReason } from "./counters.ts";

/**
 * Called with `true` when the kernel has accepted the delivered bytes, and with `false` when the peer is closed before.
 */
export type OnWritten = (isWritten: boolean) => void;

/** The broker's view of a connected peer. */
export interface BrokerPeer {
  readonly isClosed: boolean;
  /** Whether publishers must wait until the peer has read more. */
  readonly isSlow: boolean;
  /** Time of the last progress while unsent bytes wait, by `performance.now()`, or `undefined` when none wait. */
  readonly stalledSince: number | undefined;
  /** Sends a frame with this payload. The payload must not change until it is flushed. */
  deliver(payload: Uint8Array, onWritten?: OnWritten): void;
  /** Closes the connection at once. */
  close(reason: CloseReason): void;
}
