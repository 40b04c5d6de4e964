/** Counted in whole seconds on the connection itself: two small integers, no object for each connection. */
export type InboundCount = { inboundSecond: number; inboundCount: number };

/** Counts one inbound message of a connection; false when this second has had more than `limit`. */
export function countInbound(counted: InboundCount, nowSecond: number, limit: number): boolean {
  if (counted.inboundSecond !== nowSecond) {
    counted.inboundSecond = nowSecond;
    counted.inboundCount = 0;
  }
  counted.inboundCount++;
  return counted.inboundCount <= limit;
}
