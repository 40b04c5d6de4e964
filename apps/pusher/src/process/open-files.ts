import { readFileSync } from "node:fs";
import type { Log } from "@fanwire/service";
import type { PusherConfig } from "../config.ts";

/** File descriptors of a worker beside its connections: files, NATS, the admin port, and handshakes under way. */
const RESERVED_FILES = 200;

/**
 * Lowers the connection limit to the file descriptors of the process. Otherwise the kernel would refuse connections
 * without an answer and keep the accept loop busy.
 */
export function withinOpenFilesLimit(config: PusherConfig, log: Log): PusherConfig {
  const openFiles = openFilesLimit();
  const connections = Math.max(1, Math.min(config.limits.connections, openFiles - RESERVED_FILES));
  if (connections === config.limits.connections) return config;

  log.info(
    { openFiles, wanted: config.limits.connections, connections },
    "connection limit lowered to the open-files limit (ulimit -n)",
  );
  return { ...config, limits: { ...config.limits, connections } };
}

function openFilesLimit(): number {
  try {
    const [, softLimit] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return softLimit === undefined ? Number.POSITIVE_INFINITY : Number(softLimit);
  } catch {
    return Number.POSITIVE_INFINITY; // not Linux
  }
}
