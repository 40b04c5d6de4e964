import { isIP } from "node:net";
import { DEFAULT_PREFIX, isPrefix } from "@fanwire/protocol";
import { ConfigError, logLevels, type readSettings, setting } from "@fanwire/service";
import { Servers } from "@nats-io/transport-node";

/** The variables that every Fanwire service reads. */
export const sharedSettings = {
  FANWIRE_NATS_URL: setting
    .list("nats://127.0.0.1:4222")
    // So that empty text counts as absent.
    .refine((servers) => servers.length > 0)
    // The client ignores a user in an address, and may take a part of the password for the port.
    .refine((servers) => !servers.some((server) => server.includes("@")), {
      error: "must have no user and password: set FANWIRE_NATS_USER and FANWIRE_NATS_PASSWORD",
      abort: true,
    })
    .refine((servers) => servers.every(isServer), "must be servers such as nats://nats-1:4222")
    .describe(
      "NATS servers, comma-separated. Any one suffices to find the others of its cluster; `tls://` on any of them demands encryption of all.",
    ),
  FANWIRE_NATS_USER: setting.optionalText().describe("User name for NATS."),
  FANWIRE_NATS_PASSWORD: setting.optionalText().describe("Password for NATS."),
  FANWIRE_NATS_TOKEN: setting.optionalText().describe("Token for NATS, instead of a user."),
  FANWIRE_NATS_CREDS_FILE: setting.optionalText().describe("Path of a NATS credentials file (JWT and seed)."),
  FANWIRE_NATS_TLS_CA_FILE: setting
    .optionalText()
    .describe("Path of the CA certificates (PEM) that verify the certificate of NATS; requires TLS."),
  FANWIRE_NATS_TLS_CERT_FILE: setting
    .optionalText()
    .describe("Path of a client certificate (PEM), with FANWIRE_NATS_TLS_KEY_FILE."),
  FANWIRE_NATS_TLS_KEY_FILE: setting.optionalText().describe("Path of the client certificate's key (PEM)."),
  FANWIRE_PREFIX: setting
    .text(DEFAULT_PREFIX)
    .refine(isPrefix, "must be tokens of letters, digits, _ and -, separated by dots")
    .describe("First token(s) of every NATS subject; clusters with different prefixes are separate."),
  FANWIRE_HISTORY_MAX_AGE_SECONDS: setting
    .integer({ min: 1, max: 10 * 365 * 86_400, default: 86_400 })
    .describe(
      "How long durable publications are kept, in seconds. Used when the history is created, like all its limits.",
    ),
  FANWIRE_HISTORY_MAX_PER_SUBJECT: setting
    .integer({ min: 1, max: 1_000_000, default: 1_000 })
    .describe(
      "Durable publications kept for each topic, each user and everyone. A client that missed this many or more cannot be guaranteed full recovery.",
    ),
  FANWIRE_HISTORY_MAX_BYTES: setting
    .integer({ min: 1_024, max: 1_024 ** 5, default: 1_024 ** 3 })
    .describe("Size of the history in bytes, reserved on each replica; the oldest publications make room."),
  FANWIRE_HISTORY_REPLICAS: setting
    .integer({ min: 1, max: 5, default: 1 })
    .describe("NATS nodes that keep the history; 3 survive the loss of any one."),
  FANWIRE_LOG_LEVEL: setting.oneOf(logLevels, "info").describe("Least severe level that is logged."),
  FANWIRE_STRICT_CONFIG: setting
    .oneOf(["off", "on"], "off")
    .describe(
      "Treats an unknown variable with one of our prefixes, perhaps a misspelt one, as an error that ends the process; off: as a warning at start.",
    ),
};

export type BusConfig = {
  readonly servers: readonly string[];
  readonly prefix: string;
  readonly credentials:
    | { readonly kind: "none" }
    | { readonly kind: "user"; readonly user: string; readonly password: string }
    | { readonly kind: "token"; readonly token: string }
    | { readonly kind: "creds-file"; readonly path: string };
  /** `undefined`: encrypted where the server offers it, as NATS clients do, and plain where it does not. */
  readonly tls: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string } | undefined;
};

type SharedValues = ReturnType<typeof readSettings<typeof sharedSettings>>;

/** @throws ConfigError when the credentials contradict each other. */
export function busConfigFrom(values: SharedValues): BusConfig {
  return {
    servers: values.FANWIRE_NATS_URL,
    prefix: values.FANWIRE_PREFIX,
    credentials: credentialsFrom(values),
    tls: tlsFrom(values),
  };
}

/** Limits of the history, used when this service creates it. */
export type HistoryConfig = {
  readonly maxAgeSeconds: number;
  readonly maxPerSubject: number;
  readonly maxBytes: number;
  readonly replicas: number;
};

export function historyConfigFrom(values: SharedValues): HistoryConfig {
  return {
    maxAgeSeconds: values.FANWIRE_HISTORY_MAX_AGE_SECONDS,
    maxPerSubject: values.FANWIRE_HISTORY_MAX_PER_SUBJECT,
    maxBytes: values.FANWIRE_HISTORY_MAX_BYTES,
    replicas: values.FANWIRE_HISTORY_REPLICAS,
  };
}

function credentialsFrom(values: SharedValues): BusConfig["credentials"] {
  const given = [values.FANWIRE_NATS_USER, values.FANWIRE_NATS_TOKEN, values.FANWIRE_NATS_CREDS_FILE];
  if (given.filter((value) => value !== undefined).length > 1) {
    throw new ConfigError("Set one of FANWIRE_NATS_USER, FANWIRE_NATS_TOKEN and FANWIRE_NATS_CREDS_FILE, not several.");
  }
  const { FANWIRE_NATS_USER: user, FANWIRE_NATS_PASSWORD: password } = values;
  if ((user === undefined) !== (password === undefined)) {
    throw new ConfigError("FANWIRE_NATS_USER and FANWIRE_NATS_PASSWORD go together.");
  }
  if (user !== undefined && password !== undefined) return { kind: "user", user, password };
  if (values.FANWIRE_NATS_TOKEN !== undefined) return { kind: "token", token: values.FANWIRE_NATS_TOKEN };
  if (values.FANWIRE_NATS_CREDS_FILE !== undefined) return { kind: "creds-file", path: values.FANWIRE_NATS_CREDS_FILE };
  return { kind: "none" };
}

function tlsFrom(values: SharedValues): BusConfig["tls"] {
  const { FANWIRE_NATS_TLS_CA_FILE: caFile, FANWIRE_NATS_TLS_CERT_FILE: certFile } = values;
  const { FANWIRE_NATS_TLS_KEY_FILE: keyFile } = values;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new ConfigError("FANWIRE_NATS_TLS_CERT_FILE and FANWIRE_NATS_TLS_KEY_FILE go together.");
  }
  // The client ignores the scheme, and would continue unencrypted with any server.
  const isDemanded = values.FANWIRE_NATS_URL.some((url) => /^tls:/i.test(url));
  if (!isDemanded && caFile === undefined && certFile === undefined) return undefined;
  // The client would accept a certificate for "localhost" instead of one for the address.
  const address = values.FANWIRE_NATS_URL.find((url) => isIP(hostOf(url)));
  if (address !== undefined) {
    throw new ConfigError(`FANWIRE_NATS_URL: with TLS a server needs the name in its certificate, not ${address}.`);
  }
  return {
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
  };
}

function isServer(text: string): boolean {
  try {
    return hostOf(text) !== "";
  } catch {
    return false;
  }
}

/** Returns the host of a server, with or without scheme and port, as the client reads it. Throws if it cannot. */
function hostOf(server: string): string {
  return new Servers([server]).getCurrentServer().hostname;
}
