import { PONG, parsePusherFrame, pusherError } from "../../wire/pusher-frames.ts";
import { type ClientEvents, isClientEvent } from "./client-events.ts";
import type { PusherSession } from "./session.ts";
import type { Signins } from "./signin.ts";
import type { PusherSubscriptions } from "./subscriptions.ts";

type CommandParts = {
  readonly subscriptions: PusherSubscriptions;
  readonly clientEvents: ClientEvents;
  readonly signins: Signins;
};

/** Maximum characters of a client's text in an error. */
const MAX_SHOWN = 100;

/** Carries out one frame of a client. A frame that no client should send is answered with an error. */
export function receiveFrame(session: PusherSession, text: string, parts: CommandParts): void {
  const frame = parsePusherFrame(text);
  if (frame === undefined) {
    session.send(pusherError(null, "a frame must be a JSON object with an event"));
    return;
  }
  const { event, data } = frame;
  if (isClientEvent(event)) {
    parts.clientEvents.receive(session, frame);
    return;
  }
  switch (event) {
    case "pusher:ping":
      session.send(PONG);
      return;
    case "pusher:pong":
      return;
    case "pusher:subscribe":
      parts.subscriptions.subscribe(session, data);
      return;
    case "pusher:unsubscribe":
      parts.subscriptions.unsubscribe(session, data);
      return;
    case "pusher:signin":
      parts.signins.receive(session, data);
      return;
    default:
      session.send(pusherError(null, `unknown event ${JSON.stringify(event.slice(0, MAX_SHOWN))}`));
      return;
  }
}
