import type { Bus, PublishFailure } from "@fanwire/bus";
import { closeCodes, DEFAULT_EVENT, headerNames, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { TokenRefusal, TokenVerifier } from "@fanwire/tokens";
import { mayPublish } from "@fanwire/tokens";
import type { PusherConfig } from "../config.ts";
import type { Connection } from "../connections/connection.ts";
import type { Hub } from "../hub/hub.ts";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import type { Recovery } from "../recovery/recovery.ts";
import { type Command, type CommandId, parseCommand } from "../wire/fanwire-commands.ts";
import { encodeErrorReply, encodeReply } from "../wire/fanwire-messages.ts";
import { type Failure, subscribeFailure, subscribePresent } from "./fanwire-presence.ts";

type CommandsParts = {
  readonly config: Pick<PusherConfig, "limits">;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly hub: Hub;
  readonly recovery: Recovery;
  readonly verifier: TokenVerifier;
  readonly log: Log;
};

type SubscribeCommand = Extract<Command, { command: "subscribe" }>;
type RefreshCommand = Extract<Command, { command: "refresh" }>;
/** A subscription that a command has started. */
type Started = {
  readonly connection: Connection;
  readonly id: CommandId;
  readonly subscription: SharedSubscription;
  readonly since: string | undefined;
  /** Returns further members of the reply. Called in the tick in which it is sent. */
  more(): Readonly<Record<string, unknown>>;
};
/** Members of the reply beside `ok`, or why the command failed. */
type Outcome = { readonly more?: Readonly<Record<string, unknown>> } | Failure;

const publishFailures: Record<PublishFailure, Failure> = {
  unavailable: { code: "unavailable", message: "not connected to NATS, nothing was published" },
  unconfirmed: { code: "unavailable", message: "NATS did not confirm, the publication may or may not be delivered" },
  forbidden: { code: "forbidden", message: "NATS does not allow this worker to publish" },
  "too-large": { code: "too-large", message: "the data is larger than NATS accepts" },
};

/** Executes the commands of fanwire.v1 clients. */
export class Commands {
  readonly #parts: CommandsParts;

  constructor(parts: CommandsParts) {
    this.#parts = parts;
  }

  /**
   * Parses and executes one message. Returns a promise that the next message must wait for and that never rejects, or
   * "ended" if it closed the connection.
   */
  receive(connection: Connection, text: string): "done" | "ended" | Promise<void> {
    const parsed = parseCommand(text);
    if (parsed.ok) {
      const { id, command } = parsed;
      // Later commands must be checked against the new token.
      if (command.command === "refresh") {
        const refreshed = this.#refresh(connection, id, command);
        return this.#answerFailure(connection, id, refreshed);
      }
      const outcome = this.#execute(connection, id, command);
      if (outcome instanceof Promise) this.#replyLater(connection, id, outcome);
      else if (outcome !== undefined) reply(connection, id, outcome);
      return "done";
    }
    if (parsed.id === undefined) {
      this.#parts.hub.end(connection, closeCodes.malformedMessage);
      return "ended";
    }
    reply(connection, parsed.id, parsed);
    return "done";
  }

  /** Returns undefined if the reply is sent later. */
  #execute(
    connection: Connection,
    id: CommandId,
    command: Exclude<Command, RefreshCommand>,
  ): Outcome | Promise<Outcome> | undefined {
    switch (command.command) {
      case "ping":
        return this.#ping(connection);
      case "subscribe":
        return this.#subscribe(connection, id, command);
      case "unsubscribe":
        this.#parts.hub.unsubscribe(connection, command.topic);
        return {};
      case "publish":
        return this.#publish(connection, command);
    }
  }

  #ping(connection: Connection): Outcome {
    const { hub } = this.#parts;
    // The position must not overtake pending publications.
    hub.flushTo(connection);
    const position = hub.isLive(connection) ? hub.position : undefined;
    return position === undefined ? {} : { more: { position } };
  }

  #subscribe(connection: Connection, id: CommandId, command: SubscribeCommand): Outcome | undefined {
    if (command.isPresent) {
      this.#subscribePresent(connection, id, command);
      return undefined;
    }
    const { topic, since } = command;
    const { hub } = this.#parts;
    if (command.isPresent === false) hub.presence.leave(connection, topic);
    const subscribed = hub.subscribe(connection, topic);
    const failure = subscribeFailure(subscribed);
    if (failure) return failure;
    if (typeof subscribed !== "object") return { more: this.#repeated(connection, topic, since) };
    this.#recover({ connection, id, subscription: subscribed, since, more: () => ({}) });
    return undefined;
  }

  #subscribePresent(connection: Connection, id: CommandId, { topic, since }: SubscribeCommand): void {
    subscribePresent({
      hub: this.#parts.hub,
      maxTopics: this.#parts.config.limits.topics,
      connection,
      topic,
      onReply: (outcome) => {
        if ("code" in outcome) reply(connection, id, outcome as Failure);
        else reply(connection, id, { more: { ...this.#repeated(connection, topic, since), ...outcome } });
      },
      onSubscribed: (subscription, list) => this.#recover({ connection, id, subscription, since, more: list }),
    });
  }

  /** Returns members of the reply to a subscription that the connection has already. */
  #repeated(connection: Connection, topic: string, since: string | undefined): Readonly<Record<string, unknown>> {
    return since === undefined ? {} : this.#parts.recovery.refuseRepeated(connection, topic);
  }

  /** Sends the reply, then missed publications. */
  #recover({ connection, id, subscription, since, more }: Started): void {
    this.#parts.recovery.start({
      connection,
      subscriptions: [subscription],
      since,
      kind: "subscription",
      onOutcome: ({ recovered, reason, position }) => {
        const outcome = { ...(recovered !== null && { recovered }), ...(reason && { reason }) };
        reply(connection, id, { more: { ...more(), ...outcome, ...(position !== undefined && { position }) } });
      },
    });
  }

  async #publish(connection: Connection, command: Extract<Command, { command: "publish" }>): Promise<Outcome> {
    const { topic, data, event } = command;
    if (!mayPublish(connection.getUserData().grant, topic)) {
      return { code: "forbidden", message: "not authorized to publish to this topic" };
    }
    const { bus, subjects, hub } = this.#parts;
    const { user } = connection.getUserData().grant;
    const address = hub.addressOf(connection);
    const headers: [string, string][] = event === undefined ? [] : [[headerNames.event, event]];
    const outcome = await bus.publish(subjects.live({ kind: "topic", topic }), Buffer.from(data), headers);
    if (!outcome.ok) return publishFailures[outcome.reason];
    const sender = { connection: address, ...(user !== undefined && { user }) };
    hub.events?.happened({ name: "client_published", topic, event: event ?? DEFAULT_EVENT, data, ...sender });
    return {};
  }

  /** Resolves when the new token is in force or refused. */
  async #refresh(connection: Connection, id: CommandId, { token, since }: RefreshCommand): Promise<void> {
    const { verifier, hub } = this.#parts;
    if (verifier.isOpen) return reply(connection, id, {});
    const { connectionId } = connection.getUserData();
    const verified = await verifier.verify(token);
    // A connection that has closed must not be touched, so it is found by its id.
    if (hub.connection(connectionId) !== connection) return;
    if (!verified.ok) return reply(connection, id, tokenFailure(verified.reason));
    const { user: currentUser } = connection.getUserData().grant;
    if (currentUser !== undefined && verified.grant.user !== currentUser) return reply(connection, id, foreignToken);

    const { dropped, presenceDropped, user } = hub.replaceGrant(connection, verified.grant);
    const more = {
      ...(dropped.length > 0 && { dropped }),
      ...(presenceDropped.length > 0 && { presenceDropped }),
    };
    if (user === undefined) return reply(connection, id, { more });
    this.#recover({ connection, id, subscription: user, since, more: () => more });
  }

  #replyLater(connection: Connection, id: CommandId, outcome: Promise<Outcome>): void {
    // A connection that has closed must not be touched, so it is found by its id.
    const { connectionId } = connection.getUserData();
    const { hub } = this.#parts;
    const replied = outcome.then((settled) => {
      if (hub.connection(connectionId) === connection) reply(connection, id, settled);
    });
    void this.#answerFailure(connection, id, replied);
  }

  /** Answers a command that meets a defect of ours, because a rejection would end the worker. */
  #answerFailure(connection: Connection, id: CommandId, work: Promise<void>): Promise<void> {
    const { connectionId } = connection.getUserData();
    const { hub, log } = this.#parts;
    return work.catch((err: unknown) => {
      log.error({ err }, "command failed");
      if (hub.connection(connectionId) === connection) reply(connection, id, failed);
    });
  }
}

const failed: Failure = { code: "unavailable", message: "the command failed" };

const foreignToken: Failure = { code: "unauthorized", message: "the token is of another user, reconnect with it" };

function tokenFailure(reason: TokenRefusal): Failure {
  return reason === "keys-unavailable"
    ? { code: "unavailable", message: "tokens cannot be verified now, try again" }
    : { code: "unauthorized", message: `the token is not valid: ${reason}` };
}

function reply(connection: Connection, id: CommandId, outcome: Outcome): void {
  connection.send(
    "code" in outcome ? encodeErrorReply(id, outcome.code, outcome.message) : encodeReply(id, outcome.more),
  );
}
