import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { encodeToken } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { connect, credsAuthenticator, type NatsConnection, type NodeConnectionOptions } from "@nats-io/transport-node";
import type { BusConfig } from "./settings.ts";

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;

/** Connects, however long it takes. Rejects only when `signal` aborts or a file of the configuration cannot be read. */
export async function connectToNats(
  config: BusConfig,
  name: string,
  log: Log,
  signal: AbortSignal,
): Promise<NatsConnection> {
  const options = connectionOptions(config, name);
  for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
    signal.throwIfAborted();
    try {
      return await connect(options);
    } catch (error) {
      // Without the error itself: one about a certificate carries all of it.
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ reason, servers: config.servers }, "NATS cannot be reached yet, trying again");
    }
    await delay(jittered(waitMs), undefined, { signal });
  }
}

/** Between half and the whole of `ms`: workers that lost one server must not come back as one. */
function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

/**
 * How much one turn of the event loop publishes before it is written: by itself the client writes every 32 KiB, which
 * costs a busy channel server a third of its events per second. An option that the client has and does not declare.
 */
const WRITE_BYTES = { pendingLimit: 262_144 };

function connectionOptions(config: BusConfig, name: string): NodeConnectionOptions {
  return {
    servers: [...config.servers],
    name,
    inboxPrefix: inboxPrefix(config.credentials),
    timeout: 5_000,
    maxReconnectAttempts: -1,
    ...WRITE_BYTES,
    reconnectDelayHandler: () => jittered(1_000),
    // A server that refuses our credentials now may accept them after its next reload: never a reason to end.
    ignoreAuthErrorAbort: true,
    // A connection that died without a word is noticed after two unanswered pings.
    pingInterval: 10_000,
    maxPingOut: 2,
    ...credentialOptions(config.credentials),
    ...(config.tls && { tls: config.tls }),
  };
}

/** Users have their inboxes apart, so that permissions can keep what is answered to one from the others. */
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
