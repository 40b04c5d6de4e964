import type { BlockList } from "node:net";
import { type BusConfig, busConfigFrom, sharedSettings } from "@fanwire/bus";
import { ConfigError, type LogLevel, networkList, parseNetwork, readSettings, setting } from "@fanwire/service";
import { allowClasses, type ClassRule, isClassPattern } from "./php/classes.ts";
import { maxFrameBytes } from "./wire/frames.ts";

const MIB = 1_048_576;

export const channelSettings = {
  ...sharedSettings,
  CHANNEL_HOST: setting
    .host("127.0.0.1")
    .describe(
      "Address to which Workerman peers connect; `0.0.0.0` or `::` for all interfaces. The protocol has no authentication, so open it to trusted networks only.",
    ),
  CHANNEL_PORT: setting
    .text("2206")
    .refine((text) => /^(off|[0-9]{1,5})$/.test(text) && !(Number(text) > 65_535), "must be a port, or off")
    .describe("TCP port for Workerman peers; `off` disables TCP, and needs CHANNEL_SOCKET."),
  CHANNEL_SOCKET: setting.optionalText().describe("Path of a Unix socket for Workerman peers, beside the TCP port."),
  CHANNEL_ADMIN_HOST: setting.host("127.0.0.1").describe("Address of /healthz, /readyz and /metrics."),
  CHANNEL_ADMIN_PORT: setting.port(9206).describe("Port of /healthz, /readyz and /metrics."),
  CHANNEL_ALLOWED_NETWORKS: setting
    .list("")
    .refine((list) => list.every((text) => parseNetwork(text) !== undefined), "must be networks such as 10.0.0.0/8")
    .describe(
      "Networks from which TCP peers may connect, comma-separated: `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`; empty allows any. Peers on the Unix socket are always allowed.",
    ),
  CHANNEL_BROADCAST_EVENTS: setting
    .list("вещание,broadcast,广播")
    .describe(
      "Event names that address everyone, comma-separated; empty for none. Their `content` is published to every connection of the cluster, and publications to everyone are delivered to peers that subscribe to one of them.",
    ),
  CHANNEL_ALLOWED_CLASSES: setting
    .list("*\\*")
    .refine((list) => list.every(isClassPattern), "must be classes such as User, App\\User, App\\*, or none")
    .describe(
      "PHP classes whose objects are passed on, comma-separated: `User`, `App\\User`, `App\\*` for a namespace, `*\\*` for every namespace of applications, `*` for all, `none`. `stdClass`, dates and `ArrayObject` need no entry. Messages with other objects are ignored, because a receiver may end when it reads them.",
    ),
  CHANNEL_MAX_PEERS: setting
    .integer({ min: 1, max: 1_000_000, default: 10_000 })
    .describe("Maximum peers of a channel server. Further connections are closed at once."),
  CHANNEL_MAX_FRAME_BYTES: setting
    .integer({ min: 1_024, max: maxFrameBytes, default: maxFrameBytes })
    .describe(
      "Largest frame from a peer. A peer that sends a larger one is closed. So is one whose channels, or watched queues, have names of more bytes together.",
    ),
  CHANNEL_FRAME_SECONDS: setting
    .integer({ min: 0, max: 86_400, default: 60 })
    .describe(
      "Maximum time in which a peer must send one complete frame. A slower peer is closed. 0 disables the limit.",
    ),
  CHANNEL_MAX_UNSENT_BYTES: setting
    .integer({ min: 1_024, max: 1_073_741_824, default: 10 * MIB })
    .describe(
      "Maximum unsent bytes for each peer. At half of it, publishers on this server wait for the peer. A peer that exceeds it, because of publishers elsewhere, is closed.",
    ),
  CHANNEL_MAX_BUFFERED_BYTES: setting
    .integer({ min: 2 * maxFrameBytes, max: 1_099_511_627_776, default: 256 * MIB })
    .describe(
      "Maximum memory of all peers' buffers together: incomplete frames, waiting requests, unsent bytes. Senders wait first. Above it the peers with most unsent bytes are closed.",
    ),
  CHANNEL_MAX_SUBSCRIPTIONS: setting
    .integer({ min: 1, max: 10_000_000, default: 200_000 })
    .describe("Maximum channels to which a peer subscribes. A peer that exceeds it is closed."),
  CHANNEL_MAX_UNCONFIRMED_BYTES: setting
    .integer({ min: 65_536, max: 1_073_741_824, default: 8 * MIB })
    .describe("Maximum bytes in flight to NATS. Above it, reading from peers is paused (TCP backpressure)."),
  CHANNEL_MAX_UNSTORED_BYTES: setting
    .integer({ min: 65_536, max: 1_073_741_824, default: 64 * MIB })
    .describe(
      "Maximum memory of queue items that are not stored in JetStream yet. Above it, reading from peers is paused (TCP backpressure).",
    ),
  CHANNEL_QUEUE_MAX_BYTES: setting
    .integer({ min: 65_536, max: 1_000_000_000_000, default: 1_024 * MIB })
    .describe(
      "Maximum size of the JetStream stream of the queues. When it is full, items wait in the channel servers. Used when the stream is created.",
    ),
  CHANNEL_QUEUE_REPLICAS: setting
    .integer({ min: 1, max: 5, default: 1 })
    .describe("Number of NATS servers that store a copy of the queues. Used when the stream is created."),
  CHANNEL_DRAIN_SECONDS: setting
    .integer({ min: 0, max: 3_600, default: 5 })
    .describe("Maximum time in which a stopping server processes received requests and writes unsent bytes."),
};

export type ChannelConfig = {
  readonly bus: BusConfig;
  readonly logLevel: LogLevel;
  /** `undefined` without TCP. */
  readonly tcp: { readonly host: string; readonly port: number } | undefined;
  readonly socketPath: string | undefined;
  readonly adminHost: string;
  readonly adminPort: number;
  /** `undefined` allows any. */
  readonly allowedNetworks: BlockList | undefined;
  readonly broadcastEvents: readonly string[];
  /** Whether objects of a class are passed on. */
  readonly allowsClass: ClassRule;
  readonly limits: Limits;
  readonly queues: { readonly maxBytes: number; readonly replicas: number };
  readonly drainMs: number;
};

type Limits = {
  readonly peers: number;
  readonly frameBytes: number;
  /** 0 means no limit. */
  readonly frameMs: number;
  readonly unsentBytes: number;
  readonly bufferedBytes: number;
  readonly subscriptions: number;
  readonly unconfirmedBytes: number;
  readonly unstoredBytes: number;
};

/** @throws ConfigError that names every wrong variable, or if peers could not connect. */
export function readConfig(env: NodeJS.ProcessEnv): ChannelConfig {
  const values = readSettings(channelSettings, env);
  const hasTcp = values.CHANNEL_PORT !== "off";
  if (!hasTcp && values.CHANNEL_SOCKET === undefined) {
    throw new ConfigError(
      "CHANNEL_PORT is off and CHANNEL_SOCKET is not set: peers could not connect. Set a port or a path.",
    );
  }
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
      unconfirmedBytes: values.CHANNEL_MAX_UNCONFIRMED_BYTES,
      unstoredBytes: values.CHANNEL_MAX_UNSTORED_BYTES,
    },
    queues: {
      maxBytes: values.CHANNEL_QUEUE_MAX_BYTES,
      replicas: values.CHANNEL_QUEUE_REPLICAS,
    },
    drainMs: values.CHANNEL_DRAIN_SECONDS * 1_000,
  });
}
