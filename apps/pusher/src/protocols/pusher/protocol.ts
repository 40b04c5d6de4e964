import { closeCodes } from "@fanwire/protocol";
import type { Closing, SingleFrames } from "../../connections/client-protocol.ts";
import { ALL_PUSHER_CODES, isPusherCode, pusherCodes, staysAway } from "../../wire/pusher-close-codes.ts";
import { pusherError } from "../../wire/pusher-frames.ts";
import { presenceFrames } from "../../wire/pusher-presence.ts";
import { encodePusher } from "../../wire/pusher-publication.ts";
import type { RoutedProtocol } from "../served-protocol.ts";
import { openPusherRoute } from "./route.ts";

const NAME = "pusher";

const frames: SingleFrames = {
  frames: "single",
  encode: (publication) => {
    const frame = encodePusher(publication);
    return frame === undefined ? undefined : Buffer.from(frame);
  },
  encodePresence: presenceFrames,
};

/** Pusher codes by our close codes. Every other code becomes `full`, so that the client reconnects after a second. */
const codeOf = new Map<number, (typeof pusherCodes)[keyof typeof pusherCodes]>([
  [closeCodes.draining.code, pusherCodes.draining],
  [closeCodes.closedByApplication.code, pusherCodes.closedByApplication],
  [closeCodes.inboundRate.code, pusherCodes.inboundRate],
  [closeCodes.publicationsMissed.code, pusherCodes.again],
]);

const closing: Closing = {
  codes: ALL_PUSHER_CODES,
  codeFor: (closeCode) => (isPusherCode(closeCode.code) ? closeCode : (codeOf.get(closeCode.code) ?? pusherCodes.full)),
  // Old clients and proxies lose close codes. An application must not learn of an error when its client reconnects.
  lastFrame: ({ code, reason }) => (staysAway(code) ? pusherError(code, reason) : undefined),
};

/** The Pusher Channels protocol, versions 5 to 7, for apps that share their topics with all other clients. */
export const pusher: RoutedProtocol = {
  name: NAME,
  canResume: false,
  encodings: [frames],
  encodingOf: () => frames,
  closing,
  openRoutes: (app, parts) =>
    openPusherRoute(app, ({ namespace }) => (namespace === "" ? pusher : namespacedPusher), parts),
};

const namespacedFrames: SingleFrames = { ...frames };

/** The same for apps with a namespace. Their clients receive only what is published in it. */
export const namespacedPusher: RoutedProtocol = {
  name: NAME,
  canResume: false,
  encodings: [namespacedFrames],
  encodingOf: () => namespacedFrames,
  closing,
  skipsEveryone: true,
  // The route of `pusher` also serves apps with a namespace.
  openRoutes: () => ({ stop: () => {} }),
};
