/** Counts whole seconds in two small integers of the connection state, without an object for each connection. */
export type InboundCount = { inboundSecond: number; inboundCount: number };

/** Counts one inbound message of a connection. Returns false if this second has more than `limit`. */
export function countInbound(counted: InboundCount, nowSecond: number, limit: number): boolean {
  if (counted.inboundSecond !== nowSecond) {
    counted.inboundSecond = nowSecond;
    counted.inboundCount = 0;
  }
  counted.inboundCount++;
  return counted.inboundCount <= limit;
}
