import type { BlockList } from "node:net";
import { type BusConfig, busConfigFrom, sharedSettings } from "@fanwire/bus";
import { type LogLevel, readSettings, setting } from "@fanwire/service";
import { maxFrameBytes } from "./frames.ts";
import { networkList, parseNetwork } from "./networks.ts";
import { allowClasses, type ClassRule, isClassPattern } from "./php-classes.ts";

const MIB = 1_048_576;

export const channelSettings = {
  ...sharedSettings,
  CHANNEL_HOST: setting
    .host("127.0.0.1")
    .describe(
      "Address Workerman peers connect to; `0.0.0.0` or `::` for all interfaces. The protocol knows no authentication: open it to trusted networks only.",
    ),
  CHANNEL_PORT: setting
    .text("2206")
    .refine((text) => /^(off)?$|^[0-9]{1,5}$/.test(text) && !(Number(text) > 65_535), "must be a port, or off")
    .describe("TCP port for Workerman peers; `off`: none."),
  CHANNEL_SOCKET: setting.optionalText().describe("Path of a Unix socket for Workerman peers, beside the TCP port."),
  CHANNEL_ADMIN_HOST: setting.host("127.0.0.1").describe("Address of /healthz, /readyz and /metrics."),
  CHANNEL_ADMIN_PORT: setting.port(9206).describe("Port of /healthz, /readyz and /metrics."),
  CHANNEL_ALLOWED_NETWORKS: setting
    .list("")
    .refine((list) => list.every((text) => parseNetwork(text) !== undefined), "must be networks such as 10.0.0.0/8")
    .describe(
      "Networks TCP peers may connect from, comma-separated: `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`; empty: any. Peers on the Unix socket always may.",
    ),
  CHANNEL_BROADCAST_EVENTS: setting
    .list("вещание,broadcast,广播")
    .describe(
      "Event names that mean everyone: their `content` reaches every connection of the cluster, and what is published to everyone reaches the peers that subscribe to one of them; empty: none.",
    ),
  CHANNEL_ALLOWED_CLASSES: setting
    .list("")
    .refine((list) => list.every(isClassPattern), "must be classes such as User, App\\User or App\\*")
    .describe(
      "PHP classes whose objects are passed on beside `stdClass`, comma-separated: `User`, `App\\User`, `App\\*` for a namespace, `*` for all. Messages with other objects are ignored, because a receiver may end when it reads them.",
    ),
  CHANNEL_MAX_PEERS: setting
    .integer({ min: 1, max: 1_000_000, default: 10_000 })
    .describe("Peers a channel server carries; more are closed at once."),
  CHANNEL_MAX_FRAME_BYTES: setting
    .integer({ min: 1_024, max: maxFrameBytes, default: maxFrameBytes })
    .describe("Largest frame a peer may send; a larger one closes it."),
  CHANNEL_FRAME_SECONDS: setting
    .integer({ min: 0, max: 86_400, default: 60 })
    .describe("Time a peer may take to send one frame to its end; one that takes longer is closed; 0: any time."),
  CHANNEL_MAX_UNSENT_BYTES: setting
    .integer({ min: 1_024, max: 1_073_741_824, default: 10 * MIB })
    .describe(
      "Bytes kept for a peer that reads slowly. At half of them peers of this server that publish to it wait; one that has more waiting, by what other servers publish, is closed.",
    ),
  CHANNEL_MAX_BUFFERED_BYTES: setting
    .integer({ min: 2 * maxFrameBytes, max: 1_099_511_627_776, default: 256 * MIB })
    .describe(
      "Memory of all peers' buffers together: frames that have not come whole, requests that wait, unsent bytes. Senders wait first; beyond it those with most unsent bytes are closed.",
    ),
  CHANNEL_MAX_SUBSCRIPTIONS: setting
    .integer({ min: 1, max: 10_000_000, default: 200_000 })
    .describe("Channels a peer may subscribe to; one more closes it."),
  CHANNEL_MAX_WATCHES: setting
    .integer({ min: 1, max: 1_000_000, default: 1_000 })
    .describe("Queues a peer may watch; one more closes it."),
  CHANNEL_MAX_UNCONFIRMED_BYTES: setting
    .integer({ min: 65_536, max: 1_073_741_824, default: 8 * MIB })
    .describe("Bytes on their way to NATS; while there are more, no peer that sends anything is read from."),
  CHANNEL_MAX_UNSTORED_BYTES: setting
    .integer({ min: 65_536, max: 1_073_741_824, default: 64 * MIB })
    .describe(
      "Memory of queue items that JetStream does not have yet; while there are more, no peer that sends anything is read from.",
    ),
  CHANNEL_QUEUE_MAX_BYTES: setting
    .integer({ min: 65_536, max: 1_000_000_000_000, default: 1_024 * MIB })
    .describe(
      "Size of the JetStream stream that holds the queues. When it is full, items wait in the channel servers. Used when the stream is created.",
    ),
  CHANNEL_QUEUE_MAX_AGE_SECONDS: setting
    .integer({ min: 0, max: 315_360_000, default: 0 })
    .describe("Age at which queue items nobody took are deleted; 0: never. Used when the stream is created."),
  CHANNEL_QUEUE_REPLICAS: setting
    .integer({ min: 1, max: 5, default: 1 })
    .describe("NATS servers that each keep a copy of the queues. Used when the stream is created."),
  CHANNEL_DRAIN_SECONDS: setting
    .integer({ min: 0, max: 3_600, default: 5 })
    .describe("Time a stopping server takes at most to hand on what it has read and written before."),
};

export type ChannelConfig = {
  readonly bus: BusConfig;
  readonly logLevel: LogLevel;
  /** `undefined`: no TCP. */
  readonly tcp: { readonly host: string; readonly port: number } | undefined;
  readonly socketPath: string | undefined;
  readonly adminHost: string;
  readonly adminPort: number;
  /** `undefined`: any. */
  readonly allowedNetworks: BlockList | undefined;
  readonly broadcastEvents: readonly string[];
  readonly allowsClass: ClassRule;
  readonly limits: Limits;
  readonly queues: {
    readonly maxBytes: number;
    /** 0: none. */
    readonly maxAgeMs: number;
    readonly replicas: number;
  };
  readonly drainMs: number;
};

export type Limits = {
  readonly peers: number;
  readonly frameBytes: number;
  /** 0: none. */
  readonly frameMs: number;
  readonly unsentBytes: number;
  readonly bufferedBytes: number;
  readonly subscriptions: number;
  readonly watches: number;
  readonly unconfirmedBytes: number;
  readonly unstoredBytes: number;
};

/** @throws ConfigError naming every variable that is wrong. */
export function readConfig(env: NodeJS.ProcessEnv): ChannelConfig {
  const values = readSettings(channelSettings, env);
  const hasTcp = values.CHANNEL_PORT !== "off" && values.CHANNEL_PORT !== "";
  return Object.freeze({
    bus: busConfigFrom(values),
    logLevel: values.FANWIRE_LOG_LEVEL,
    tcp: hasTcp ? { host: values.CHANNEL_HOST, port: Number(values.CHANNEL_PORT) } : undefined,
    socketPath: values.CHANNEL_SOCKET,
    adminHost: values.CHANNEL_ADMIN_HOST,
    adminPort: values.CHANNEL_ADMIN_PORT,
    allowedNetworks: networkList(values.CHANNEL_ALLOWED_NETWORKS),
    broadcastEvents: values.CHANNEL_BROADCAST_EVENTS,
    allowsClass: allowClasses(values.CHANNEL_ALLOWED_CLASSES),
    limits: {
      peers: values.CHANNEL_MAX_PEERS,
      frameBytes: values.CHANNEL_MAX_FRAME_BYTES,
      frameMs: values.CHANNEL_FRAME_SECONDS * 1_000,
      unsentBytes: values.CHANNEL_MAX_UNSENT_BYTES,
      bufferedBytes: values.CHANNEL_MAX_BUFFERED_BYTES,
      subscriptions: values.CHANNEL_MAX_SUBSCRIPTIONS,
      watches: values.CHANNEL_MAX_WATCHES,
      unconfirmedBytes: values.CHANNEL_MAX_UNCONFIRMED_BYTES,
      unstoredBytes: values.CHANNEL_MAX_UNSTORED_BYTES,
    },
    queues: {
      maxBytes: values.CHANNEL_QUEUE_MAX_BYTES,
      maxAgeMs: values.CHANNEL_QUEUE_MAX_AGE_SECONDS * 1_000,
      replicas: values.CHANNEL_QUEUE_REPLICAS,
    },
    drainMs: values.CHANNEL_DRAIN_SECONDS * 1_000,
  });
}
