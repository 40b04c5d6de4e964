import { channelKind, isChannelName, type SignedQuery } from "@fanwire/pusher-protocol";
import { type Attribute, lackedAttribute, readAttributes } from "./attributes.ts";
import { decoded, parameter } from "./authenticate.ts";
import { invalid, shown } from "./invalid-request.ts";

const PRESENCE = "presence-";
const INFO = { field: "info" };

/** @throws ApiError if the name in the path is not that of a channel. */
export function readChannelName(name: string): string {
  const channel = decoded(name);
  if (!isChannelName(channel))
    throw invalid({ field: "channel_name" }, `is ${shown(channel)}, which is no channel name`);
  return channel;
}

/** @throws ApiError unless it is a presence channel, which alone has users. */
export function readPresenceChannel(name: string): string {
  const channel = readChannelName(name);
  if (channelKind(channel).isPresence) return channel;
  throw invalid({ field: "channel_name" }, "must be a presence channel, because other channels have no users");
}

/** Reads the attributes that a request about one channel asks for. */
export function readChannelInfo(query: SignedQuery, channel: string): ReadonlySet<Attribute> {
  const attributes = readInfo(query, ["user_count", "subscription_count", "cache"]);
  const lacked = lackedAttribute(channel, attributes);
  if (lacked !== undefined) throw invalid(INFO, `has ${lacked}, which this type of channel does not have`);
  return attributes;
}

/** Reads which channels a list has, and with which attributes. */
export function readListRequest(query: SignedQuery): {
  readonly prefix: string;
  readonly wanted: ReadonlySet<Attribute>;
} {
  const prefix = parameter(query, "filter_by_prefix") ?? "";
  const wanted = readInfo(query, ["user_count", "subscription_count"]);
  const isPresence = prefix.startsWith(PRESENCE);
  if (wanted.has("user_count") && !isPresence) {
    throw invalid(INFO, `has user_count, for which filter_by_prefix must begin with ${PRESENCE}`);
  }
  if (wanted.has("subscription_count") && isPresence) {
    throw invalid(INFO, "has subscription_count, which presence channels do not have");
  }
  return { prefix, wanted };
}

function readInfo(query: SignedQuery, allowed: readonly Attribute[]): ReadonlySet<Attribute> {
  const read = readAttributes(parameter(query, "info") ?? "", allowed);
  if ("unknown" in read) throw invalid(INFO, `has ${shown(read.unknown)}; it may have ${allowed.join(", ")}`);
  return read.attributes;
}
