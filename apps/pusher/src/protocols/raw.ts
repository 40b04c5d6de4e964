import type { WebSocket } from "uWebSockets.js";
import type { SingleFrames } from "../connections/client-protocol.ts";
import type { ConnectionState } from "../connections/connection.ts";
import { startSession } from "../recovery/start-session.ts";
import { Greeting } from "../wire/greeting.ts";
import type { ServingParts, WebSocketProtocol } from "./served-protocol.ts";

const content: SingleFrames = { frames: "single", encode: (publication) => publication.content };

/** Each frame is the content of a publication, nothing else. Compatible with Workerman. */
export const raw: WebSocketProtocol = {
  name: "raw",
  subprotocol: undefined,
  // Frames have no room for positions.
  canResume: false,
  encodings: [content],
  encodingOf: () => content,

  openSessions(parts, inbound) {
    const greeting = new Greeting(parts.config.greeting, parts.workerId);
    return {
      wait: () => {},
      start: (socket, query) => {
        startSession(parts, socket, query.since === undefined ? query : { ...query, since: undefined }, () =>
          greet(socket, greeting, parts),
        );
      },
      receive: (socket) => void inbound.count(socket),
      close: () => {},
    };
  },
};

function greet(socket: WebSocket<ConnectionState>, greeting: Greeting, { config }: ServingParts): void {
  if (config.greeting !== "") socket.send(greeting.for(socket.getUserData().connectionId), false);
}
