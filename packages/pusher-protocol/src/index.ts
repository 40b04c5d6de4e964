export {
  type PusherApp,
  PusherApps,
  type PusherWebhook,
  pusherAppsFrom,
  pusherAppsSettings,
} from "./apps.ts";
export {
  CACHE_SECONDS,
  type ChannelKind,
  channelKind,
  channelOf,
  isChannelName,
  SERVER_TO_USER,
  topicOf,
  userOf,
} from "./channels.ts";
export { eventSettings, wantedEvents } from "./cluster-events.ts";
export {
  channelSignature,
  isSameText,
  requestSignature,
  signinSignature,
  verifySignedAuth,
  webhookSignature,
} from "./signatures.ts";
export { parseSignedQuery, type SignedQuery, signedTexts } from "./signed-query.ts";
export { formatSocketId, parseSocketId } from "./socket-id.ts";
