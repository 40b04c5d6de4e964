import type { BatchedFrames } from "../connections/client-protocol.ts";
import { encodeFanwire } from "../wire/fanwire-messages.ts";
import { changeFields } from "../wire/presence.ts";
import { FanwireSessions } from "./fanwire-sessions.ts";
import type { WebSocketProtocol } from "./served-protocol.ts";

const NAME = "fanwire.v1";

const messages: BatchedFrames = {
  frames: "batched",
  // uWebSockets.js copies what a socket does not take of larger frames, and keeps the memory of the copy until the
  // connection closes.
  batching: { separator: "\n", maxBytes: 32_768 },
  reportsDrain: true,
  encode: ({ text }) => encodeFanwire(text),
  encodePresence: (change) => [JSON.stringify({ type: "presence", ...changeFields(change) })],
};

/** JSON messages, several in a frame, with commands of the client. */
export const fanwireV1: WebSocketProtocol = {
  name: NAME,
  subprotocol: NAME,
  canResume: true,
  encodings: [messages],
  encodingOf: () => messages,
  encodeUnsubscribed: (topic) => JSON.stringify({ type: "unsubscribed", topic }),
  openSessions: (parts, inbound) => new FanwireSessions(parts, inbound),
};
