import type { BatchedFrames } from "../connections/client-protocol.ts";
import type { PresenceChange } from "../presence/presence.ts";
import { changeFields } from "../wire/presence.ts";
import { encodeSse, PRESENCE_EVENT, sseEvent } from "../wire/sse-events.ts";
import type { RoutedProtocol } from "./served-protocol.ts";
import { openSseRoute } from "./sse-route.ts";

// uWebSockets.js copies what a socket does not take of a write.
const shared = {
  frames: "batched",
  batching: { separator: "", maxBytes: 65_536 },
  reportsDrain: false,
  encodePresence: (change: PresenceChange) => [
    sseEvent({ event: PRESENCE_EVENT, data: JSON.stringify(changeFields(change)) }),
  ],
} as const;

const events: BatchedFrames = { ...shared, encode: ({ text }) => encodeSse(text) };

/**
 * Events of streams that receive copies of a publication: the id of each copy must show which copies the reader has.
 */
const copies: BatchedFrames = {
  ...shared,
  encode: ({ text }) => encodeSse(text, text.resume ?? text.position),
};

/** Server-sent events: `GET /sse`, read by EventSource of browsers or with `fetch`. */
export const sse: RoutedProtocol = {
  name: "sse",
  canResume: true,
  encodings: [events, copies],
  encodingOf: ({ hasCopies }) => (hasCopies ? copies : events),
  encodeUnsubscribed: (topic) => sseEvent({ event: "fanwire.unsubscribed", data: JSON.stringify({ topic }) }),
  openRoutes: (app, parts) => openSseRoute(app, sse, parts),
};
