import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { encodeToken } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import {
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  Servers,
} from "@nats-io/transport-node";
import type { BusConfig } from "./settings.ts";

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;

/** Connects, without a time limit. Rejects only when `signal` aborts. */
export async function connectToNats(
  options: NodeConnectionOptions,
  log: Log,
  signal: AbortSignal,
): Promise<NatsConnection> {
  // Hosts and ports alone, because everything that is logged may be read by others.
  const servers = new Servers([options.servers ?? []].flat()).getServers().map(String);
  for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
    signal.throwIfAborted();
    try {
      return await connect(options);
    } catch (error) {
      // Logs only the message, because an error about a certificate contains the whole certificate.
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ reason, servers }, "NATS cannot be reached yet, trying again");
    }
    await delay(jittered(waitMs), undefined, { signal });
  }
}

/**
 * Returns a random time between half of `ms` and `ms`, so that workers that lost one server do not reconnect at the
 * same time.
 */
function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

/**
 * Bytes that one event-loop tick publishes before the client writes them. Its default of 32 KiB costs a busy channel
 * server a third of its events per second. The client does not declare this option.
 */
const WRITE_BYTES = { pendingLimit: 262_144 };

/** @throws when the credentials file cannot be read. */
export function connectionOptions(config: BusConfig, name: string): NodeConnectionOptions {
  return {
    servers: [...config.servers],
    name,
    inboxPrefix: inboxPrefix(config.credentials),
    timeout: 5_000,
    maxReconnectAttempts: -1,
    ...WRITE_BYTES,
    reconnectDelayHandler: () => jittered(1_000),
    // Refused credentials are no reason to give up, because the server may accept them after its next reload.
    ignoreAuthErrorAbort: true,
    // Two unanswered pings reveal a connection that died silently.
    pingInterval: 10_000,
    maxPingOut: 2,
    ...credentialOptions(config.credentials),
    ...(config.tls && { tls: config.tls }),
  };
}

/** Returns a prefix of the user's own, so that permissions can hide the replies to one user from the others. */
export function inboxPrefix(credentials: BusConfig["credentials"]): string {
  return credentials.kind === "user" ? `_INBOX.${encodeToken(credentials.user)}` : "_INBOX";
}

function credentialOptions(credentials: BusConfig["credentials"]): Partial<NodeConnectionOptions> {
  switch (credentials.kind) {
    case "none":
      return {};
    case "user":
      return { user: credentials.user, pass: credentials.password };
    case "token":
      return { token: credentials.token };
    case "creds-file":
      return { authenticator: credsAuthenticator(readFileSync(credentials.path)) };
  }
}
