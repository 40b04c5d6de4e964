import { hostname } from "node:os";
import { eventLoopDelay } from "./event-loop-delay.ts";
import { VERSION } from "./version.ts";

/** Returns what identifies this process for people. */
export function processFacts() {
  const { pid } = process;
  return { host: hostname(), pid, version: VERSION, uptimeSeconds: Math.floor(process.uptime()) };
}

/** Returns what this process uses. Takes about a tenth of a millisecond. */
export function processLoad() {
  const { rss: residentBytes, heapUsed: heapBytes } = process.memoryUsage();
  return { memory: { residentBytes, heapBytes }, eventLoopDelayMs: eventLoopDelay().longestMs };
}
