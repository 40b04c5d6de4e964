import { readFileSync } from "node:fs";
import type { Log } from "@fanwire/service";
import type { PusherConfig } from "../config.ts";

/** Files, NATS, the admin port and handshakes under way: what a worker opens beside its connections. */
const RESERVED_FILES = 200;

/**
 * Lowers the connection limit to what the process may open. Without this the limit is met by the kernel instead, which
 * refuses connections without an answer and keeps the accept loop busy.
 */
export function withinOpenFilesLimit(config: PusherConfig, log: Log): PusherConfig {
  const openFiles = openFilesLimit();
  const connections = Math.max(1, Math.min(config.limits.connections, openFiles - RESERVED_FILES));
  if (connections === config.limits.connections) return config;

  log.info(
    { openFiles, wanted: config.limits.connections, connections },
    "the open-files limit (ulimit -n) allows fewer connections than PUSHER_MAX_CONNECTIONS",
  );
  return { ...config, limits: { ...config.limits, connections } };
}

function openFilesLimit(): number {
  try {
    const [, softLimit] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return softLimit === undefined ? Number.POSITIVE_INFINITY : Number(softLimit);
  } catch {
    return Number.POSITIVE_INFINITY; // not Linux: nothing to go by
  }
}
