export { type Client, connect } from "./client.ts";
export type { ClientOptions, ClientState } from "./client-options.ts";
export { FanwireError } from "./error.ts";
export type { Member, Publication } from "./messages.ts";
export type { Presence, PresenceChange } from "./presence.ts";
export type { TokenOption } from "./token.ts";
export type { Subscribed } from "./topics.ts";
export type { WebSocketConstructor, WebSocketLike } from "./transport.ts";
