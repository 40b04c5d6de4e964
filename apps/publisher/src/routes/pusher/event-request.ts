import { type ConnectionAddress, isReservedEvent, type Target } from "@fanwire/protocol";
import {
  channelKind,
  isChannelName,
  type PusherApp,
  parseSocketId,
  SERVER_TO_USER,
  topicOf,
  userOf,
} from "@fanwire/pusher-protocol";
import { isWellFormed } from "../publication-request.ts";
import { type Attribute, hasAttribute, readAttributes } from "./attributes.ts";
import { invalid, type Place, shown } from "./invalid-request.ts";

const MAX_CHANNELS = 100;
const MAX_BATCH = 10;
const MAX_EVENT_NAME = 200;
const RESERVED_EVENTS = ["pusher:", "pusher_internal:"];
const SOCKET_ID = /^[0-9]+\.[0-9]+$/;
const EVENT_ATTRIBUTES = ["user_count", "subscription_count"] as const;

type EventAttribute = (typeof EVENT_ATTRIBUTES)[number];

export type EventChannel = {
  readonly name: string;
  readonly target: Extract<Target, { kind: "topic" | "user" }>;
  /** Whether new subscribers receive the last event. */
  readonly isCache: boolean;
};

/** One valid event of a request. */
export type EventRequest = {
  readonly event: string;
  readonly content: Uint8Array;
  /** Distinct, in the order of the request. */
  readonly channels: readonly EventChannel[];
  readonly except: ConnectionAddress | undefined;
  /** Attributes for the reply; undefined if the request asks for none. */
  readonly info: ReadonlySet<EventAttribute> | undefined;
};

/** Fields of a request, which may be anything. */
export type Fields = Readonly<Record<string, unknown>>;

/** @throws ApiError that names the first field that is not valid. */
export function readBatch(app: PusherApp, { batch }: Fields): EventRequest[] {
  if (!Array.isArray(batch)) throw invalid({ field: "batch" }, "must be an array of events");
  if (batch.length === 0 || batch.length > MAX_BATCH) {
    throw invalid({ field: "batch" }, `must have 1 to ${MAX_BATCH} events`);
  }
  return batch.map((item: unknown, index) => {
    if (!isRecord(item)) throw invalid({ field: `batch[${index}]` }, "must be an object with channel, name and data");
    return readEvent(app, item, index);
  });
}

/**
 * @param index of the event in a batch.
 * @throws ApiError that names the first field that is not valid.
 */
export function readEvent(app: PusherApp, fields: Fields, index?: number): EventRequest {
  const at = (field: string): Place => ({ field, index });
  const event = readName(at("name"), fields.name);
  const channels = readChannels(app, fields, index);
  const except = readSocketId(at("socket_id"), fields.socket_id);
  const info = readInfo(at("info"), fields.info, channels);
  return { event, content: readData(at("data"), fields.data, app.maxEventBytes), channels, except, info };
}

export function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readName(at: Place, name: unknown): string {
  if (typeof name !== "string" || name === "") throw invalid(at, "must be text that is not empty");
  if (name.length > MAX_EVENT_NAME) throw invalid(at, `must have at most ${MAX_EVENT_NAME} characters`);
  if (!isWellFormed(name) || /\p{Cc}/u.test(name) || name.trim() !== name) {
    throw invalid(at, "must be Unicode without control characters, and begin and end with no space");
  }
  const isReserved = RESERVED_EVENTS.some((prefix) => name.startsWith(prefix)) || isReservedEvent(name);
  if (isReserved) throw invalid(at, "must not begin with pusher:, pusher_internal: or fanwire., which are reserved");
  return name;
}

/** Does not serialise other values, because that would change numbers and the order of keys unnoticed. */
function readData(at: Place, data: unknown, maxBytes: number): Uint8Array {
  if (typeof data !== "string") throw invalid(at, "must be text; send JSON as text, as the Pusher SDKs do");
  // Each character has at least one byte. Only text that is short enough is examined, because a body may have megabytes.
  const bytes = data.length > maxBytes ? undefined : Buffer.byteLength(data);
  if (bytes === undefined || bytes > maxBytes) {
    throw invalid(at, `has more than the ${maxBytes} bytes that the app allows`, "event_too_large");
  }
  if (!isWellFormed(data)) throw invalid(at, "has half of a surrogate pair, which has no UTF-8 form");
  return Buffer.from(data);
}

function readChannels(app: PusherApp, fields: Fields, index: number | undefined): EventChannel[] {
  const { channel } = fields;
  // Batches have one channel for each event.
  const list = index === undefined ? (fields.channels ?? undefined) : undefined;
  if (list === undefined && (channel ?? undefined) === undefined && index === undefined) {
    throw invalid({ field: "channels" }, "must be an array of channel names; `channel` can name a single one");
  }
  if (list === undefined) return [readChannel(app, { field: "channel", index }, channel)];
  const at = { field: "channels", index };
  if (channel !== undefined && channel !== null) throw invalid(at, "and `channel` exclude each other");
  if (!Array.isArray(list)) throw invalid(at, "must be an array of channel names");
  if (list.length === 0 || list.length > MAX_CHANNELS) throw invalid(at, `must have 1 to ${MAX_CHANNELS} channels`);
  const channels = new Map<string, EventChannel>();
  for (const [position, name] of list.entries()) {
    const found = readChannel(app, { field: `channels[${position}]`, index }, name);
    channels.set(found.name, found);
  }
  const encrypted = [...channels.keys()].filter((name) => channelKind(name).isEncrypted);
  if (encrypted.length > 1) {
    throw invalid(at, "must have at most one encrypted channel, because each channel has another key");
  }
  return [...channels.values()];
}

function readChannel(app: PusherApp, at: Place, name: unknown): EventChannel {
  if (typeof name !== "string") throw invalid(at, "must be the name of a channel");
  if (name.startsWith(SERVER_TO_USER)) {
    const user = userOf(app, name.slice(SERVER_TO_USER.length));
    if (user === undefined) throw invalid(at, `must end with a user id of 1 to 255 bytes after ${SERVER_TO_USER}`);
    return { name, target: { kind: "user", user }, isCache: false };
  }
  if (!isChannelName(name)) {
    throw invalid(at, `is ${shown(name)}; a channel has 1 to 200 characters of A-Z a-z 0-9 _ - = @ , . ;`);
  }
  return { name, target: { kind: "topic", topic: topicOf(app, name) }, isCache: channelKind(name).isCache };
}

/** Returns undefined for an id that none of our connections can have. Then the event reaches all subscribers. */
function readSocketId(at: Place, id: unknown): ConnectionAddress | undefined {
  if (id === undefined || id === null) return undefined;
  if (typeof id !== "string" || !SOCKET_ID.test(id)) throw invalid(at, "must be a socket id: two numbers and a dot");
  return parseSocketId(id);
}

function readInfo(at: Place, info: unknown, channels: readonly EventChannel[]): EventRequest["info"] {
  if (info === undefined || info === null) return undefined;
  if (typeof info !== "string") throw invalid(at, "must be text: attributes, separated by commas");
  const read = readAttributes(info, EVENT_ATTRIBUTES);
  if ("unknown" in read)
    throw invalid(at, `has ${shown(read.unknown)}; an event has ${EVENT_ATTRIBUTES.join(" and ")}`);
  const { attributes } = read;
  if (attributes.size === 0) return undefined;
  const has = (attribute: Attribute) => channels.some(({ name }) => hasAttribute(channelKind(name), attribute));
  if (![...attributes].some(has)) {
    throw invalid(
      at,
      "has nothing that these channels have: user_count is for presence channels, subscription_count for all others",
    );
  }
  return attributes;
}
