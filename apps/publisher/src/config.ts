import { type BusConfig, busConfigFrom, type HistoryConfig, historyConfigFrom, sharedSettings } from "@fanwire/bus";
import { ConfigError, type LogLevel, readSettings, setting } from "@fanwire/service";

const MEBIBYTE = 1_048_576;

/** The variables this service reads; their descriptions are their documentation. */
export const publisherSettings = {
  ...sharedSettings,
  PUBLISHER_HOST: setting
    .host("127.0.0.1")
    .describe("Address the HTTP API listens on. Anything but loopback wants PUBLISHER_API_KEYS."),
  PUBLISHER_PORT: setting.port(4237).describe("Port of the HTTP API."),
  PUBLISHER_ADMIN_HOST: setting.host("127.0.0.1").describe("Address of the publisher's admin port."),
  PUBLISHER_ADMIN_PORT: setting.port(9237).describe("Port of the publisher's /healthz, /readyz and /metrics."),
  PUBLISHER_API_KEYS: setting
    .list("")
    // Visible ASCII: what every client can put into a header as it stands.
    .refine(
      (keys) => keys.every((key) => /^[!-~]{16,}$/.test(key)),
      "each key must be at least 16 letters, digits or signs of ASCII, without spaces",
    )
    .describe(
      "Keys, comma-separated; a request must carry any one of them. Each at least 16 characters. None: everybody who reaches the port may publish.",
    ),
  PUBLISHER_TRY_PAGE: setting
    .oneOf(["auto", "on", "off"], "auto")
    .describe("The page `/try`, for development; auto: on where there are no keys."),
  PUBLISHER_MAX_BODY_BYTES: setting
    .integer({ min: 1_024, max: 256 * MEBIBYTE, default: 10 * MEBIBYTE })
    .describe("Largest request body, in bytes; beyond it 413. NATS has a limit of its own for each publication."),
  PUBLISHER_MAX_HELD_BODY_BYTES: setting
    .integer({ min: 1_024, max: 16_384 * MEBIBYTE, default: 128 * MEBIBYTE })
    .describe("Bytes of request bodies held at once, by all requests together; beyond it 429."),
  PUBLISHER_MAX_BATCH: setting
    .integer({ min: 1, max: 100_000, default: 1_000 })
    .describe("Most publications in one request; beyond it 422."),
  PUBLISHER_MAX_IN_FLIGHT: setting
    .integer({ min: 1, max: 100_000, default: 1_000 })
    .describe("Requests answered at once; beyond it 429."),
  PUBLISHER_REQUEST_TIMEOUT_MS: setting
    .integer({ min: 10, max: 60_000, default: 2_000 })
    .describe("How long a worker may take to answer, in milliseconds; beyond it 503."),
  PUBLISHER_RECEIPT_TIMEOUT_MS: setting
    .integer({ min: 100, max: 10_000, default: 1_500 })
    .describe(
      "How long all workers together may take to tell a receipt, in milliseconds; beyond it the receipt is incomplete.",
    ),
};

export type PublisherConfig = {
  readonly host: string;
  readonly port: number;
  readonly adminHost: string;
  readonly adminPort: number;
  /** Empty: everybody may publish. */
  readonly apiKeys: readonly string[];
  readonly hasTryPage: boolean;
  readonly maxBodyBytes: number;
  readonly maxHeldBodyBytes: number;
  readonly maxBatch: number;
  readonly maxInFlight: number;
  readonly requestTimeoutMs: number;
  readonly receiptTimeoutMs: number;
  readonly logLevel: LogLevel;
  readonly bus: BusConfig;
  readonly log: HistoryConfig;
};

/** @throws ConfigError naming every variable that is wrong. */
export function readConfig(env: Record<string, string | undefined>): PublisherConfig {
  const values = readSettings(publisherSettings, env);
  if (values.PUBLISHER_MAX_HELD_BODY_BYTES < values.PUBLISHER_MAX_BODY_BYTES) {
    throw new ConfigError("PUBLISHER_MAX_HELD_BODY_BYTES must be at least PUBLISHER_MAX_BODY_BYTES.");
  }
  return Object.freeze({
    host: values.PUBLISHER_HOST,
    port: values.PUBLISHER_PORT,
    adminHost: values.PUBLISHER_ADMIN_HOST,
    adminPort: values.PUBLISHER_ADMIN_PORT,
    apiKeys: values.PUBLISHER_API_KEYS,
    hasTryPage:
      values.PUBLISHER_TRY_PAGE === "on" ||
      (values.PUBLISHER_TRY_PAGE === "auto" && values.PUBLISHER_API_KEYS.length === 0),
    maxBodyBytes: values.PUBLISHER_MAX_BODY_BYTES,
    maxHeldBodyBytes: values.PUBLISHER_MAX_HELD_BODY_BYTES,
    maxBatch: values.PUBLISHER_MAX_BATCH,
    maxInFlight: values.PUBLISHER_MAX_IN_FLIGHT,
    requestTimeoutMs: values.PUBLISHER_REQUEST_TIMEOUT_MS,
    receiptTimeoutMs: values.PUBLISHER_RECEIPT_TIMEOUT_MS,
    logLevel: values.FANWIRE_LOG_LEVEL,
    bus: busConfigFrom(values),
    log: historyConfigFrom(values),
  });
}
