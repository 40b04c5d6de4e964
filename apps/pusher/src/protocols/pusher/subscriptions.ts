import { parsePosition } from "@fanwire/protocol";
import { channelKind, topicOf } from "@fanwire/pusher-protocol";
import { hasMember } from "../../connections/small-set.ts";
import { DecodedPublication } from "../../fanout/decoded-publication.ts";
import { hasRoomFor } from "../../hub/has-room.ts";
import type { JoinRefusal } from "../../presence/presence.ts";
import type { RecoveryOutcome } from "../../recovery/recovery-outcome.ts";
import type { Member } from "../../wire/presence.ts";
import { pusherErrors } from "../../wire/pusher-close-codes.ts";
import {
  cacheMiss,
  commandData,
  pusherError,
  type SubscriptionProblem,
  subscriptionError,
  subscriptionSucceeded,
} from "../../wire/pusher-frames.ts";
import { presenceData } from "../../wire/pusher-presence.ts";
import { encodePusher } from "../../wire/pusher-publication.ts";
import type { ServingParts } from "../served-protocol.ts";
import type { Audience } from "./audience.ts";
import { CacheEvents, type CacheState } from "./cache-events.ts";
import { authorizeChannel } from "./channel-auth.ts";
import type { PusherSession, SubscribedChannel } from "./session.ts";

const NO_DATA = "{}";
/** Maximum characters of a channel's name in an error. */
const MAX_SHOWN = 200;
const LIMIT: SubscriptionProblem = {
  type: "LimitReached",
  status: 4100,
  message: "the connection has the maximum number of channels",
};
const REFUSED: Readonly<Record<JoinRefusal, SubscriptionProblem>> = {
  limit: { ...LIMIT, message: "the channel has the maximum number of members" },
  memory: { type: "ServerError", status: 503, message: "the worker has no memory for more members, try again" },
};

const ENDED: SubscriptionProblem = {
  type: "ServerError",
  status: 503,
  message: "the application has unsubscribed the connection",
};

/** A subscription that has its place in the session and is not live yet. */
type Starting = { readonly session: PusherSession; readonly name: string; readonly channel: SubscribedChannel };
type WithTopic = Starting & { readonly topic: string };

/** Subscribes Pusher clients to channels, and unsubscribes them. */
export class PusherSubscriptions {
  readonly #parts: ServingParts;
  readonly #audience: Audience;
  readonly #cache: CacheEvents;

  constructor(parts: ServingParts, audience: Audience) {
    this.#parts = parts;
    this.#audience = audience;
    const { hub } = parts;
    this.#cache = new CacheEvents({ ...parts, epoch: () => hub.frontier.position?.epoch });
  }

  subscribe(session: PusherSession, data: unknown): void {
    const { channel: name, auth, channel_data: channelData } = commandData(data) ?? {};
    if (typeof name !== "string") {
      session.send(pusherError(null, "pusher:subscribe needs a channel"));
      return;
    }
    const authorization = authorizeChannel(session, { channel: name, auth, channelData });
    if (!authorization.ok) {
      refuse(session, name, authorization.problem);
      return;
    }
    session.isAuthorized ||= authorization.isSigned;
    const existing = this.#existing(session, name);
    if (existing === undefined) this.#start(session, name, authorization.member);
    else this.#repeat({ session, name, channel: existing });
  }

  /** Returns the channel if the client is subscribed to it. The application may have unsubscribed the connection. */
  #existing(session: PusherSession, name: string): SubscribedChannel | undefined {
    const channel = session.channels.get(name);
    if (!channel?.isLive || channel.topic === undefined) return channel;
    if (hasMember(session.socket.getUserData().topics, channel.topic)) return channel;
    session.removeChannel(name);
    this.#audience.unsubscribed(session, channel);
    return undefined;
  }

  /** A client that subscribes twice receives its success twice, and remains the same member. */
  #repeat({ session, name, channel }: Starting): void {
    const { topic, member, isLive } = channel;
    if (!isLive) {
      channel.repeats++;
      return;
    }
    if (topic === undefined || member === undefined) {
      session.send(subscriptionSucceeded(name));
      return;
    }
    this.#parts.hub.presence.join(session.socket, topic, member, { isListWhole: true }, (outcome) => {
      if (!outcome.ok || !session.has(name, channel)) return;
      session.send(subscriptionSucceeded(name, presenceData(outcome.list.members ?? [member])));
    });
  }

  unsubscribe(session: PusherSession, data: unknown): void {
    const name = commandData(data)?.channel;
    if (typeof name !== "string") {
      session.send(pusherError(null, "pusher:unsubscribe needs a channel"));
      return;
    }
    const channel = session.channels.get(name);
    if (channel === undefined) return;
    session.removeChannel(name);
    this.#audience.unsubscribed(session, channel);
    this.#leave(session, channel);
  }

  #leave({ socket }: PusherSession, { topic, member }: SubscribedChannel): void {
    if (topic === undefined) return;
    const { hub } = this.#parts;
    if (member !== undefined) hub.presence.leave(socket, topic);
    hub.unsubscribe(socket, topic);
  }

  #start(session: PusherSession, name: string, member: Member | undefined): void {
    const isOfUser = name.startsWith("#");
    const topic = isOfUser ? undefined : topicOf(session.app, name);
    const channel: SubscribedChannel = { topic, member, isLive: false, repeats: 0 };
    session.addChannel(name, channel);
    const starting = { session, name, channel };
    // The connection receives what is published to its user since it signed in.
    if (topic === undefined) this.#succeed(starting, NO_DATA);
    else if (member !== undefined) this.#joinPresence({ ...starting, topic }, member);
    else this.#recover({ ...starting, topic });
  }

  #joinPresence(starting: WithTopic, member: Member): void {
    const { session, name, channel, topic } = starting;
    const { hub, config, counters } = this.#parts;
    const { presence } = hub;
    if (!hasRoomFor(session.socket, topic, presence, config.limits.topics)) {
      counters.topicLimits++;
      session.removeChannel(name);
      refuse(session, name, LIMIT);
      return;
    }
    const options = {
      maxMembers: session.app.maxMembers,
      isListWhole: true,
      // Changes begin after the list, which the client receives when it is subscribed.
      isHeld: true,
      onLeave: () => this.#abandon(starting),
    };
    presence.join(session.socket, topic, member, options, (outcome) => {
      if (!session.has(name, channel)) return;
      if (!outcome.ok) {
        session.removeChannel(name);
        refuse(session, name, REFUSED[outcome.reason]);
      } else this.#recover(starting);
    });
  }

  /**
   * The application has unsubscribed the connection before it was live. Otherwise the client would wait for an answer.
   */
  #abandon({ session, name, channel }: Starting): void {
    if (!session.has(name, channel)) return;
    session.removeChannel(name);
    refuse(session, name, ENDED);
  }

  #recover(starting: WithTopic): void {
    const { session, name, channel, topic } = starting;
    const { hub, recovery } = this.#parts;
    const { isCache } = channelKind(name);
    const subscribed = hub.subscribeForApplication(session.socket, topic);
    if (subscribed === "topic-limit") {
      session.removeChannel(name);
      this.#leave(session, channel);
      refuse(session, name, LIMIT);
      return;
    }
    // The application has subscribed the connection before. The cached event must not follow a newer one.
    const isAgain = subscribed === "already";
    const subscription = isAgain && isCache ? hub.pause(session.socket, topic) : subscribed;
    if (subscription === undefined || subscription === "already") {
      this.#succeed(starting, this.#successOf(session, channel));
      return;
    }
    let cached: CacheState = "none";
    // After the subscription, because an event that is stored between the two would be lost.
    const readCache = async () => {
      cached = await this.#cache.last(topic, () => session.has(name, channel));
      return typeof cached === "object" ? cached.since : undefined;
    };
    recovery.start({
      connection: session.socket,
      subscriptions: [subscription],
      since: isCache ? readCache : undefined,
      kind: "subscription",
      isCache: true,
      onOutcome: (outcome) => {
        if (!session.has(name, channel)) return;
        if (!hasMember(session.socket.getUserData().topics, topic)) {
          this.#abandon(starting);
          return;
        }
        this.#succeed(starting, this.#successOf(session, channel));
        if (isCache) this.#sendCached(starting, cached, outcome);
      },
    });
  }

  /** Returns `data` of a success. From now on a member receives changes. */
  #successOf({ socket }: PusherSession, { topic, member }: SubscribedChannel): string {
    if (topic === undefined || member === undefined) return NO_DATA;
    const { presence } = this.#parts.hub;
    return presenceData(presence.release(socket, topic, true)?.members ?? [member]);
  }

  #succeed({ session, name, channel }: Starting, data: string): void {
    channel.isLive = true;
    const frame = subscriptionSucceeded(name, data);
    for (let answer = 0; answer <= channel.repeats; answer++) session.send(frame);
    this.#audience.subscribed(session, name, channel);
  }

  /** A recovered client receives the cached event as the first of its replay. */
  #sendCached({ session, name, topic }: WithTopic, cached: CacheState, outcome: RecoveryOutcome): void {
    if (cached === "unreadable") {
      session.send(pusherError(null, `${name}: the last event cannot be read now`));
      return;
    }
    if (cached === "none") {
      session.send(cacheMiss(name));
      this.#parts.hub.events?.happened({ name: "cache_miss", topic });
      return;
    }
    if (outcome.recovered) return;
    const { publication } = cached;
    const position = outcome.position === undefined ? undefined : parsePosition(outcome.position);
    // An event beyond this position is delivered as a live publication.
    if (position !== undefined && publication.sequence > position.sequence) return;
    const message = { subject: "", data: publication.content, headers: publication.headers, respond: () => false };
    const subscription = { kind: "topic", user: undefined, pattern: topic, topicOf: () => topic } as const;
    const frame = encodePusher(new DecodedPublication(message, { subscription }));
    if (frame !== undefined) session.send(frame);
  }
}

/** Applications know `pusher:subscription_error`, and error handlers of the connection know `pusher:error`. */
function refuse(session: PusherSession, channel: string, problem: SubscriptionProblem): void {
  session.send(subscriptionError(channel, problem));
  const code = problem.type === "AuthError" ? pusherErrors.unauthorized : null;
  session.send(pusherError(code, `${channel.slice(0, MAX_SHOWN)}: ${problem.message}`));
}
