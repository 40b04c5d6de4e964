import { type CloseCode, closeCodes } from "@fanwire/protocol";
import type { AwakeClock } from "../connections/awake-clock.ts";
import type { Connection, InboundCount } from "../connections/connection.ts";
import type { Counters } from "../connections/counters.ts";
import type { Hub } from "../hub/hub.ts";

type LimitParts = {
  readonly hub: Hub;
  readonly counters: Counters;
  readonly clock: AwakeClock;
  readonly maxPerSecond: number;
};

/** Counts what clients send, and closes connections that send too much. */
export class InboundLimit {
  readonly #parts: LimitParts;

  constructor(parts: LimitParts) {
    this.#parts = parts;
  }

  /** Counts a message. Returns false, and closes the connection, if it exceeds the limit per second. */
  count(connection: Connection): boolean {
    const { counters, clock, maxPerSecond } = this.#parts;
    counters.inboundMessages++;
    const nowSecond = Math.floor(clock.now() / 1_000);
    if (countInbound(connection.getUserData(), nowSecond, maxPerSecond * clock.secondsArriving())) return true;
    this.close(connection, closeCodes.inboundRate);
    return false;
  }

  close(connection: Connection, closeCode: CloseCode): void {
    this.#parts.counters.ended[closeCode.code === closeCodes.inboundRate.code ? "inbound-rate" : "inbound-bytes"]++;
    this.#parts.hub.end(connection, closeCode);
  }
}

/** Counts one inbound message of a connection. Returns false if this second has more than `limit`. */
export function countInbound(counted: InboundCount, nowSecond: number, limit: number): boolean {
  if (counted.inboundSecond !== nowSecond) {
    counted.inboundSecond = nowSecond;
    counted.inboundCount = 0;
  }
  counted.inboundCount++;
  return counted.inboundCount <= limit;
}
