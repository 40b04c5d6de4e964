import { type BusConfig, busConfigFrom, type HistoryConfig, historyConfigFrom, sharedSettings } from "@fanwire/bus";
import { type PusherApps, pusherAppsFrom, pusherAppsSettings } from "@fanwire/pusher-protocol";
import { ConfigError, isLoopback, type LogLevel, readSettings, setting } from "@fanwire/service";
import { hasAmbiguousKey, parseKeyEntry } from "./key-entry.ts";

const MEBIBYTE = 1_048_576;

/** Maximum bytes of the bodies of all requests in flight, with content once for each topic. Further requests are answered with 429. */
const MAX_HELD_BODY_BYTES = 128 * MEBIBYTE;

/** The publisher's environment variables. Their descriptions are the documentation. */
export const publisherSettings = {
  ...sharedSettings,
  PUBLISHER_HOST: setting
    .host("127.0.0.1")
    .describe("Address of the HTTP API. Set PUBLISHER_API_KEYS unless it is loopback."),
  PUBLISHER_PORT: setting.port(4237).describe("Port of the HTTP API."),
  PUBLISHER_ADMIN_HOST: setting.host("127.0.0.1").describe("Address of the publisher's admin port."),
  PUBLISHER_ADMIN_PORT: setting.port(9237).describe("Port of the publisher's /healthz, /readyz and /metrics."),
  PUBLISHER_API_KEYS: setting
    .list("")
    // Visible ASCII, which every client can send in a header.
    .refine(
      (entries) => entries.every((entry) => /^[!-~]{16,}$/.test(parseKeyEntry(entry).key)),
      "each key must be at least 16 visible ASCII characters without spaces",
    )
    .refine((entries) => !hasAmbiguousKey(entries), "a key must not be listed both with and without the prefix read:")
    .describe(
      "API keys, comma-separated, each at least 16 characters. A request needs one of them. A key listed as `read:<key>` only reads. Without keys, every client that reaches the port may publish.",
    ),
  PUBLISHER_CORS_ORIGINS: setting
    .origins("")
    .refine((origins) => !origins.includes("null"), "null stands for pages of any site; write their origins, or *")
    .describe(
      "Origins whose pages may call `/v1` from a browser, comma-separated: `https://app.example`, `https://*.example`, or `*` for any. Needs PUBLISHER_API_KEYS. Empty: none.",
    ),
  ...pusherAppsSettings,
  PUBLISHER_CONSOLE: setting
    .oneOf(["auto", "on", "off"], "auto")
    .describe(
      "Whether the console is served at `/console`. `auto`: with API keys, and without keys if PUBLISHER_HOST is loopback.",
    ),
  PUBLISHER_MAX_BODY_BYTES: setting
    .integer({ min: 1_024, max: MAX_HELD_BODY_BYTES, default: 10 * MEBIBYTE })
    .describe(
      "Maximum bytes of a request body, to which content counts once for each topic. Above it, the status is 413. NATS limits each publication separately.",
    ),
  PUBLISHER_MAX_BATCH: setting
    .integer({ min: 1, max: 100_000, default: 1_000 })
    .describe("Maximum publications in one request. Above it, the status is 422."),
  PUBLISHER_MAX_IN_FLIGHT: setting
    .integer({ min: 1, max: 100_000, default: 1_000 })
    .describe("Maximum requests in flight. Above it, the status is 429."),
  PUBLISHER_REQUEST_TIMEOUT_MS: setting
    .integer({ min: 10, max: 60_000, default: 2_000 })
    .describe("Maximum milliseconds until a worker's answer. After it, the status is 503."),
  PUBLISHER_RECEIPT_TIMEOUT_MS: setting
    .integer({ min: 100, max: 10_000, default: 2_500 })
    .describe(
      "Maximum milliseconds until the answers of all workers for a receipt. After it, the receipt is incomplete.",
    ),
};

export type PublisherConfig = {
  readonly host: string;
  readonly port: number;
  readonly adminHost: string;
  readonly adminPort: number;
  /** Entries of the setting. Empty if all requests are accepted. */
  readonly apiKeys: readonly string[];
  /** Origins whose pages may call `/v1`. Empty without keys. */
  readonly corsOrigins: readonly string[];
  readonly pusherApps: PusherApps;
  readonly hasConsole: boolean;
  readonly maxBodyBytes: number;
  readonly maxHeldBodyBytes: number;
  readonly maxBatch: number;
  readonly maxInFlight: number;
  readonly requestTimeoutMs: number;
  readonly receiptTimeoutMs: number;
  readonly logLevel: LogLevel;
  readonly bus: BusConfig;
  readonly historyLimits: HistoryConfig;
};

/** @throws ConfigError that names all wrong variables. */
export function readConfig(env: Record<string, string | undefined>): PublisherConfig {
  const values = readSettings(publisherSettings, env);
  if (values.PUBLISHER_CORS_ORIGINS.length > 0 && values.PUBLISHER_API_KEYS.length === 0) {
    throw new ConfigError(
      "PUBLISHER_CORS_ORIGINS needs PUBLISHER_API_KEYS, because pages of other sites could use an open publisher.",
    );
  }
  return Object.freeze({
    host: values.PUBLISHER_HOST,
    port: values.PUBLISHER_PORT,
    adminHost: values.PUBLISHER_ADMIN_HOST,
    adminPort: values.PUBLISHER_ADMIN_PORT,
    apiKeys: values.PUBLISHER_API_KEYS,
    corsOrigins: values.PUBLISHER_CORS_ORIGINS,
    pusherApps: pusherAppsFrom(values),
    hasConsole:
      values.PUBLISHER_CONSOLE === "on" ||
      (values.PUBLISHER_CONSOLE === "auto" &&
        (values.PUBLISHER_API_KEYS.length > 0 || isLoopback(values.PUBLISHER_HOST))),
    maxBodyBytes: values.PUBLISHER_MAX_BODY_BYTES,
    maxHeldBodyBytes: MAX_HELD_BODY_BYTES,
    maxBatch: values.PUBLISHER_MAX_BATCH,
    maxInFlight: values.PUBLISHER_MAX_IN_FLIGHT,
    requestTimeoutMs: values.PUBLISHER_REQUEST_TIMEOUT_MS,
    receiptTimeoutMs: values.PUBLISHER_RECEIPT_TIMEOUT_MS,
    logLevel: values.FANWIRE_LOG_LEVEL,
    bus: busConfigFrom(values),
    historyLimits: historyConfigFrom(values),
  });
}
