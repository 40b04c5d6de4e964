import { encodeHeaderName, formatConnectionAddress, headerNames, isHeaderName } from "@fanwire/protocol";
import { channelKind } from "@fanwire/pusher-protocol";
import { hasMember } from "../../connections/small-set.ts";
import { pusherErrors } from "../../wire/pusher-close-codes.ts";
import { type PusherFrame, pusherError } from "../../wire/pusher-frames.ts";
import type { ServingParts } from "../served-protocol.ts";
import type { PusherSession, SubscribedChannel } from "./session.ts";

const PREFIX = "client-";
const MAX_EVENT_NAME = 200;

type Refusal = { readonly code: number | null; readonly message: string };

export function isClientEvent(event: string): boolean {
  return event.startsWith(PREFIX);
}

/** Publishes the events that clients send to the other subscribers of a channel. */
export class ClientEvents {
  readonly #parts: ServingParts;

  constructor(parts: ServingParts) {
    this.#parts = parts;
  }

  receive(session: PusherSession, frame: PusherFrame): void {
    const refusal = this.#refusalOf(session, frame) ?? this.#publish(session, frame);
    if (refusal !== undefined) session.send(pusherError(refusal.code, refusal.message));
  }

  #refusalOf(session: PusherSession, { event, channel }: PusherFrame): Refusal | undefined {
    if (!session.app.clientEvents)
      return { code: pusherErrors.clientEvents, message: "client events are switched off" };
    if (typeof channel !== "string") return { code: null, message: "a client event needs a channel" };
    const { isPrivate, isPresence, isEncrypted } = channelKind(channel);
    if ((!isPrivate && !isPresence) || isEncrypted) {
      return { code: pusherErrors.clientEvents, message: "only private and presence channels carry client events" };
    }
    if (this.#subscribed(session, channel) === undefined) {
      return { code: pusherErrors.unauthorized, message: "subscribe to the channel before sending client events" };
    }
    if (event.length > MAX_EVENT_NAME || !isHeaderName(event)) {
      return {
        code: null,
        message: "an event name has at most 200 characters, no control characters and no outer spaces",
      };
    }
    return takeAllowance(session, performance.now())
      ? undefined
      : {
          code: pusherErrors.clientEvents,
          message: `at most ${session.app.clientEventsPerSecond} client events per second`,
        };
  }

  /** The application may have unsubscribed the connection from the topic. */
  #subscribed({ channels, socket }: PusherSession, name: unknown): (SubscribedChannel & { topic: string }) | undefined {
    const channel = typeof name === "string" ? channels.get(name) : undefined;
    if (channel?.topic === undefined || !channel.isLive) return undefined;
    const { topic } = channel;
    return hasMember(socket.getUserData().topics, topic) ? { ...channel, topic } : undefined;
  }

  /** The publication consists of known fields. The frame's other fields are not relayed. */
  #publish(session: PusherSession, { event, channel, data }: PusherFrame): Refusal | undefined {
    const subscribed = this.#subscribed(session, channel);
    const text = textOf(data);
    if (subscribed === undefined || text === undefined) return { code: null, message: "data is nested too deeply" };
    const content = Buffer.from(text);
    const { maxEventBytes } = session.app;
    if (content.length > maxEventBytes) return { code: null, message: `data has at most ${maxEventBytes} bytes` };
    const { subjects, workerId } = this.#parts;
    const connection = formatConnectionAddress({ workerId, connectionId: session.connectionId });
    const headers: [string, string][] = [
      [headerNames.event, event],
      [headerNames.except, connection],
    ];
    if (subscribed.member) headers.push([headerNames.user, encodeHeaderName(subscribed.member.user)]);
    const user = subscribed.member === undefined ? {} : { user: subscribed.member.user };
    const happened = {
      name: "client_published",
      topic: subscribed.topic,
      event,
      data: text,
      connection,
      ...user,
    } as const;
    void this.#send(session, subjects.live({ kind: "topic", topic: subscribed.topic }), content, headers).then(
      (isSent) => isSent && this.#parts.hub.events?.happened(happened),
    );
    return undefined;
  }

  async #send(
    session: PusherSession,
    subject: string,
    content: Uint8Array,
    headers: [string, string][],
  ): Promise<boolean> {
    const outcome = await this.#parts.bus.publish(subject, content, headers);
    if (!outcome.ok) session.send(pusherError(null, `the client event was not delivered: ${outcome.reason}`));
    return outcome.ok;
  }
}

/** Returns `data` as text. Clients send any JSON value. Returns undefined for a value that is nested too deeply. */
function textOf(data: unknown): string | undefined {
  if (typeof data === "string") return data;
  if (data === undefined) return "";
  try {
    return JSON.stringify(data);
  } catch {
    return undefined;
  }
}

/** Takes one of the client events that a connection may send, which are those of one second. */
function takeAllowance(session: PusherSession, now: number): boolean {
  const { clientEventsPerSecond: limit } = session.app;
  const earned = ((now - session.allowanceAt) / 1_000) * limit;
  session.allowance = Math.min(limit, session.allowance + earned);
  session.allowanceAt = now;
  if (session.allowance < 1) return false;
  session.allowance--;
  return true;
}
