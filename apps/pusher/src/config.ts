import type { BlockList } from "node:net";
import { availableParallelism } from "node:os";
import { type BusConfig, busConfigFrom, type HistoryConfig, historyConfigFrom, sharedSettings } from "@fanwire/bus";
import type { EventName } from "@fanwire/protocol";
import {
  eventSettings,
  type PusherApps,
  pusherAppsFrom,
  pusherAppsSettings,
  wantedEvents,
} from "@fanwire/pusher-protocol";
import {
  ConfigError,
  isLoopback,
  type LogLevel,
  networkList,
  originProblem,
  parseNetwork,
  readSettings,
  setting,
} from "@fanwire/service";
import { type TokenConfig, tokenConfigFrom, tokenSettings } from "@fanwire/tokens";
import type { TlsFiles } from "./tls/certificate.ts";
import { tlsFilesFrom, tlsSettings } from "./tls/tls-settings.ts";

export const pusherSettings = {
  ...sharedSettings,
  PUSHER_HOST: setting.host("0.0.0.0").describe("Listen address of the pusher; `::` for IPv6 and IPv4."),
  PUSHER_PORT: setting.port(4236).describe("Port of the pusher for clients: WebSocket and SSE."),
  ...tlsSettings,
  PUSHER_TRUSTED_PROXIES: setting
    .list("")
    .refine((list) => list.every((text) => parseNetwork(text) !== undefined), "must be networks such as 10.0.0.0/8")
    .describe(
      "Networks of the proxies whose `X-Forwarded-For` or `Forwarded` is believed, comma-separated: `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`. Empty: none, and the address of a client is that of its TCP connection.",
    ),
  PUSHER_ADMIN_HOST: setting.host("127.0.0.1").describe("Address of /healthz, /readyz and /metrics."),
  PUSHER_ADMIN_PORT: setting.port(9236).describe("Port of /healthz, /readyz and /metrics."),
  PUSHER_WORKERS: setting
    .text("auto")
    .refine((text) => /^(auto|[1-9][0-9]{0,2})$/.test(text), "must be auto or a number from 1 to 999")
    .describe("Worker processes that share the port; auto: one per core; 1: no supervisor."),
  PUSHER_GREETING: setting
    .text("workerID:{worker} connectionID:{connection} подключено\\n")
    .describe(
      "First text frame of a raw connection, with {worker} and {connection} replaced by their ids; empty: none.",
    ),
  PUSHER_ALLOWED_ORIGINS: setting
    .origins("*")
    .describe(
      "Origins from which browsers may connect, comma-separated: `https://app.example`, `https://*.example`, or `*` for any; empty: none. Requests without an Origin are always allowed, because they are not from browsers.",
    ),
  PUSHER_MAX_CONNECTIONS: setting
    .integer({ min: 1, max: 1_000_000, default: 50_000 })
    .describe(
      "Maximum connections per worker; above this, new ones are refused with 503. Lowered to fit the open-files limit.",
    ),
  PUSHER_HANDSHAKES_PER_SECOND: setting
    .integer({ min: 0, max: 1_000_000, default: 5_000 })
    .describe(
      "Maximum new connections per worker and second; above this, they are refused with 503 and Retry-After. 0: no limit.",
    ),
  PUSHER_MAX_TOPICS: setting
    .integer({ min: 1, max: 100_000, default: 128 })
    .describe("Maximum topics and patterns per connection."),
  PUSHER_MAX_INBOUND_BYTES: setting
    .integer({ min: 125, max: 16_777_216, default: 65_536 })
    .describe("Maximum bytes of a message from a client; a larger one closes the connection (1006)."),
  PUSHER_MAX_INBOUND_PER_SECOND: setting
    .integer({ min: 1, max: 1_000_000, default: 100 })
    .describe("Maximum messages and pings from a client per second; above this, its connection is closed (4429)."),
  PUSHER_MAX_HEADER_BYTES: setting
    .integer({ min: 4_096, max: 65_536, default: 16_384 })
    .describe(
      "Maximum bytes of a request head that arrives in several TCP segments, as with cookies or tokens; a larger one is refused with 431.",
    ),
  PUSHER_MAX_UNSENT_BYTES: setting
    .integer({ min: 1_024, max: 1_073_741_824, default: 1_048_576 })
    .describe(
      "Maximum unsent bytes per connection; above this, it is dropped without a close frame (1006), because the client is not reading.",
    ),
  PUSHER_IDLE_SECONDS: setting
    .integer({ min: 8, max: 960, default: 120 })
    .describe("Connections are closed when the client has sent nothing, not even a pong, for this time."),
  PUSHER_FLUSH_MS: setting
    .integer({ min: 0, max: 1_000, default: 0 })
    .describe(
      "Milliseconds for which publications are batched before they are written: less CPU, more latency. 0: written at once.",
    ),
  PUSHER_PRESENCE_LEAVE_SECONDS: setting
    .integer({ min: 0, max: 60, default: 3 })
    .describe(
      "Time for which a member without connections is still shown to others, so that a page reload is not seen as leaving.",
    ),
  PUSHER_DRAIN_SECONDS: setting
    .integer({ min: 0, max: 3_600, default: 10 })
    .describe("Time over which a stopping worker closes its connections (1012), evenly spread."),
  ...tokenSettings,
  ...pusherAppsSettings,
  ...eventSettings,
};

export type PusherConfig = {
  readonly bus: BusConfig;
  readonly historyLimits: HistoryConfig;
  readonly logLevel: LogLevel;
  readonly host: string;
  readonly port: number;
  /** Undefined: served without TLS. */
  readonly tlsFiles: TlsFiles | undefined;
  /** Undefined: none. */
  readonly trustedProxies: BlockList | undefined;
  readonly adminHost: string;
  readonly adminPort: number;
  readonly workers: number;
  readonly greeting: string;
  readonly allowedOrigins: readonly string[];
  readonly tokens: TokenConfig;
  readonly pusherApps: PusherApps;
  /** Events of the cluster that are on. */
  readonly events: ReadonlySet<EventName>;
  readonly limits: Limits;
  readonly idleSeconds: number;
  readonly flushMs: number;
  readonly presenceLeaveMs: number;
  readonly drainMs: number;
};

type Limits = {
  readonly connections: number;
  /** 0: no limit. */
  readonly handshakesPerSecond: number;
  /** Topics and patterns of one connection. */
  readonly topics: number;
  readonly inboundBytes: number;
  readonly inboundPerSecond: number;
  readonly headerBytes: number;
  readonly unsentBytes: number;
};

/** @throws ConfigError naming every variable that is wrong. */
export function readConfig(env: NodeJS.ProcessEnv): PusherConfig {
  const values = readSettings(pusherSettings, env);
  const pusherApps = pusherAppsFrom(values);
  checkOrigins(pusherApps);
  return Object.freeze({
    bus: busConfigFrom(values),
    historyLimits: historyConfigFrom(values),
    logLevel: values.FANWIRE_LOG_LEVEL,
    host: values.PUSHER_HOST,
    port: values.PUSHER_PORT,
    tlsFiles: tlsFilesFrom(values),
    trustedProxies: networkList(values.PUSHER_TRUSTED_PROXIES),
    adminHost: values.PUSHER_ADMIN_HOST,
    adminPort: values.PUSHER_ADMIN_PORT,
    workers: values.PUSHER_WORKERS === "auto" ? availableParallelism() : Number(values.PUSHER_WORKERS),
    // Most env files cannot hold a line feed, so that the two characters \n stand for it.
    greeting: values.PUSHER_GREETING.replaceAll("\\n", "\n"),
    allowedOrigins: values.PUSHER_ALLOWED_ORIGINS,
    tokens: tokenConfigFrom(values),
    pusherApps,
    events: wantedEvents(values, pusherApps),
    limits: {
      connections: values.PUSHER_MAX_CONNECTIONS,
      handshakesPerSecond: values.PUSHER_HANDSHAKES_PER_SECOND,
      topics: values.PUSHER_MAX_TOPICS,
      inboundBytes: values.PUSHER_MAX_INBOUND_BYTES,
      inboundPerSecond: values.PUSHER_MAX_INBOUND_PER_SECOND,
      headerBytes: values.PUSHER_MAX_HEADER_BYTES,
      unsentBytes: values.PUSHER_MAX_UNSENT_BYTES,
    },
    idleSeconds: values.PUSHER_IDLE_SECONDS,
    flushMs: values.PUSHER_FLUSH_MS,
    presenceLeaveMs: values.PUSHER_PRESENCE_LEAVE_SECONDS * 1_000,
    drainMs: values.PUSHER_DRAIN_SECONDS * 1_000,
  });
}

/** @throws ConfigError with what is wrong about the origins of the apps. */
function checkOrigins(apps: PusherApps): void {
  const problems = apps.all.flatMap(({ id, allowedOrigins }) =>
    allowedOrigins.flatMap((entry) => {
      const problem = originProblem(entry);
      return problem === undefined ? [] : `  allowedOrigins of app ${id}: ${problem}`;
    }),
  );
  if (problems.length > 0) throw new ConfigError(`FANWIRE_PUSHER_APPS is wrong:\n${problems.join("\n")}`);
}

/** Returns warnings about a configuration that is valid but risky, one sentence each. */
export function configWarnings({ host, tokens }: PusherConfig): string[] {
  if (tokens.keys.kind !== "none" || isLoopback(host)) return [];
  return [
    `authentication is off: every client that reaches ${host} may subscribe to every topic that is not restricted; set PUSHER_TOKEN_SECRET, PUSHER_TOKEN_PUBLIC_KEY_FILE or PUSHER_TOKEN_JWKS_URL`,
  ];
}
