import { setTimeout as delay } from "node:timers/promises";
import { type Bus, type BusMessage, parseJson } from "@fanwire/bus";
import {
  type Announcement,
  type ControlRequest,
  closeCodes,
  controlRequest,
  type ListRequest,
  parsePosition,
  type ReceiptReply,
  type Subjects,
  type UserReply,
  type WorkerDescription,
} from "@fanwire/protocol";
import { hasProcessEnded, identifyProcess, type Log } from "@fanwire/service";
import type { Connection } from "../connections/connection.ts";
import type { Hub } from "../hub/hub.ts";
import { TooManyJobsError } from "../pacing/job-queue.ts";
import { describeConnection, describeWithin } from "./describe-connection.ts";
import { answerList, isListRequest } from "./list-answers.ts";
import type { Lists } from "./lists.ts";
import { membersPage, namesOfTopics, namesPage } from "./member-pages.ts";
import { ANNOUNCE_EVERY_MS, WorkerMemory } from "./worker-memory.ts";

const RECEIPT_CHECK_MS = 10;
/** Default for the maximum number of a user's connections that one reply describes. */
const DEFAULT_LIMIT = 100;
/** Maximum bytes of one reply, if NATS accepts that much. */
const MAX_REPLY_BYTES = 262_144;
/** Share of `max_payload` for the connections in a reply. The rest is for the fields around them. */
const MAX_PAYLOAD_SHARE = 0.75;

type ReceiptRequest = Extract<ControlRequest, { command: "receipt" }>;
type CloseUser = Extract<ControlRequest, { command: "close-user" }>;
type FindUser = Extract<ControlRequest, { command: "find-user" }>;
type Describe = Extract<ControlRequest, { command: "describe" }>;

type ControlParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  readonly hub: Hub;
  readonly lists: Lists;
  readonly log: Log;
  describeWorker(): WorkerDescription;
  /** Returns what only a detailed description has. */
  describeDetails(): Promise<Partial<WorkerDescription>>;
};

type AnsweringParts = ControlParts & { readonly memory: WorkerMemory };

export type Control = {
  /**
   * Announces that this worker has ended, so all connections must be closed. Resolves when NATS has the announcement.
   */
  stop(): Promise<void>;
};

/**
 * Answers control requests to this worker or to all workers, and announces the worker. Must be called before clients
 * can connect, so that publishers know of the worker before it has an address.
 */
export function startControl(controlParts: ControlParts): Control {
  const { bus, subjects, workerId } = controlParts;
  const announce = (state: Announcement["state"]) => {
    const announcement: Announcement = { worker: workerId, state, ...ownProcess() };
    bus.send(subjects.announcements, Buffer.from(JSON.stringify(announcement)));
  };
  const memory = new WorkerMemory({ bus, subjects, workerId, announce: () => announce("here") });
  const parts = { ...controlParts, memory };
  for (const subject of [subjects.worker(workerId), subjects.allWorkers]) {
    bus.subscribe(subject, (message) => onRequest(message, parts));
  }

  bus.onConnection((isConnected) => {
    if (isConnected) announce("here");
  });
  announce("here");
  const timer = setInterval(() => announce("here"), ANNOUNCE_EVERY_MS);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      memory.stop();
      announce("ended");
      await bus.confirm();
    },
  };
}

function onRequest(message: BusMessage, parts: AnsweringParts): void {
  const { log } = parts;
  const request = controlRequest.safeParse(parseJson(message)).data;
  if (request === undefined) {
    log.warn({ subject: message.subject }, "invalid control request");
    message.respond(JSON.stringify({ error: "invalid control request" }));
    return;
  }
  if (request.command === "receipt") {
    void answerReceipt(request, parts).then((reply) => message.respond(JSON.stringify(reply)));
    return;
  }
  if (request.command === "describe") {
    void describe(request, parts).then((reply) => message.respond(JSON.stringify(reply)));
    return;
  }
  const answering = isListRequest(request)
    ? answerList(request, { ...parts, maxBytes: maxReplyBytes(parts) })
    : answer(request, parts);
  if (!(answering instanceof Promise)) {
    respond(message, answering, request.command, parts);
    return;
  }
  answering
    .then((reply: object) => respond(message, reply, request.command, parts))
    .catch((error: unknown) => onFailed(error, parts));
}

/** A worker that cannot answer counts as missing, so that its list is not taken for an empty one. */
function onFailed(err: unknown, { log }: AnsweringParts): void {
  // A metric counts refused lists. A log line for each would add to the load.
  if (err instanceof TooManyJobsError) log.debug("too many lists wait");
  else log.error({ err }, "list not answered");
}

async function describe({ detailed = false }: Describe, { describeWorker, describeDetails }: ControlParts) {
  return { ...describeWorker(), ...ownProcess(), ...(detailed && (await describeDetails())) };
}

function respond(message: BusMessage, result: object, command: string, { bus, log }: AnsweringParts): void {
  const reply = JSON.stringify(result);
  if (Buffer.byteLength(reply) <= bus.maxPayloadBytes()) {
    message.respond(reply);
    return;
  }
  // Otherwise the caller would wait for a reply that NATS refuses.
  log.error({ command }, "control reply exceeds max_payload");
  message.respond(JSON.stringify({ error: "reply exceeds max_payload of NATS" }));
}

function answer(
  request: Exclude<ControlRequest, ReceiptRequest | ListRequest | Describe>,
  parts: AnsweringParts,
): object | Promise<object> {
  const { hub, lists, workerId: worker } = parts;
  switch (request.command) {
    case "has-ended":
      return { worker, hasEnded: hasProcessEnded(request.process) ?? null };
    case "recall-worker":
      return parts.memory.recall(request.about);
    case "recall-workers":
      return parts.memory.recallAll(maxReplyBytes(parts));
    case "find-connection":
      return { connection: withConnection(parts, request.connectionId, () => {}) };
    case "close-connection":
      return {
        connection: withConnection(parts, request.connectionId, (connection) =>
          hub.end(connection, closeCodes.closedByApplication),
        ),
      };
    case "subscribe":
      return { outcome: subscribe(hub, hub.connection(request.connectionId), request.topic) };
    case "unsubscribe":
      return { outcome: unsubscribe(hub, request.connectionId, request.topic) };
    case "find-user":
      return findUser(request, parts);
    case "close-user":
      return closeUser(request, parts);
    case "subscribe-user":
      return withUser(parts, request.user, (connection) => void subscribe(hub, connection, request.topic));
    case "unsubscribe-user":
      return withUser(parts, request.user, (connection) => hub.unsubscribeForApplication(connection, request.topic));
    case "count-subscribers":
      return countSubscribers(request.topic, parts);
    case "members":
      return lists.run(membersPage(request, hub.presence, { worker, maxBytes: maxReplyBytes(parts) }));
    case "member-names":
      return lists.run(namesPage(request, hub.presence, { worker, maxBytes: maxReplyBytes(parts) }));
    case "member-names-of":
      return lists.run(namesOfTopics(request, hub.presence, { worker, maxBytes: maxReplyBytes(parts) }));
  }
}

function ownProcess(): { readonly process?: string } {
  const identity = identifyProcess();
  return identity === undefined ? {} : { process: identity };
}

/** Waits until the durable publications have been delivered, then counts their receivers. */
async function answerReceipt(
  { id, stored, waitMs }: ReceiptRequest,
  { hub, workerId }: ControlParts,
): Promise<ReceiptReply> {
  const deadline = performance.now() + waitMs;
  const isDelivered = () =>
    stored.every((position) => {
      const parsed = parsePosition(position);
      return parsed !== undefined && hub.hasDelivered(parsed);
    });
  while (!isDelivered() && performance.now() < deadline) await delay(RECEIPT_CHECK_MS);
  const isFinal = isDelivered();
  // Publications that wait for the end of the flush delay count too.
  hub.flush();
  // Subscriptions that are being recovered deliver the publication when they are live.
  while (!hub.receipts.hasCounted(id) && performance.now() < deadline) await delay(RECEIPT_CHECK_MS);
  const counted = await hub.receipts.take(id);
  return { worker: workerId, ...counted, isFinal: isFinal && counted.isFinal };
}

/** Calls `act`. Returns the description of the connection from before that, or null when there is none. */
function withConnection(parts: ControlParts, connectionId: number, act: (connection: Connection) => void) {
  const connection = parts.hub.connection(connectionId);
  if (connection === undefined) return null;
  const description = describeWithin(maxReplyBytes(parts), describeConnection(connection, parts.hub));
  act(connection);
  return description;
}

/** Returns a page of the user's connections, ordered by connection id. */
async function findUser({ user, after, limit = DEFAULT_LIMIT }: FindUser, parts: ControlParts): Promise<UserReply> {
  const page = await parts.lists.connections({ user, after, limit }, maxReplyBytes(parts));
  const { total: count, ...rest } = page;
  return { worker: parts.workerId, count, ...rest };
}

async function countSubscribers(topic: string, { hub, lists, workerId: worker }: ControlParts) {
  const connections = await lists.countSubscribers(topic);
  return { worker, connections, members: hub.presence.countMembers(topic) };
}

async function withUser(
  { hub, workerId: worker }: ControlParts,
  user: string,
  act: (connection: Connection) => void,
): Promise<UserReply> {
  const count = await hub.forEach(hub.connectionsOfUser(user), act);
  return { worker, count, connections: [], hasMore: false };
}

/** With a close code, closes only the connections whose protocol has it. */
async function closeUser({ user, code }: CloseUser, { hub, workerId: worker }: ControlParts): Promise<UserReply> {
  const all = hub.connectionsOfUser(user);
  const wanted =
    code === undefined ? all : all.filter((each) => each.getUserData().protocol.closing?.codes.has(code) ?? false);
  const closeCode = code === undefined ? closeCodes.closedByApplication : { ...closeCodes.closedByApplication, code };
  const count = await hub.forEach(wanted, (connection) => hub.end(connection, closeCode));
  return { worker, count, connections: [], hasMore: false };
}

function maxReplyBytes({ bus }: ControlParts): number {
  return Math.min(MAX_REPLY_BYTES, Math.floor(bus.maxPayloadBytes() * MAX_PAYLOAD_SHARE));
}

function subscribe(
  hub: Hub,
  connection: Connection | undefined,
  topic: string,
): "done" | "topic-limit" | "no-connection" {
  if (connection === undefined) return "no-connection";
  const outcome = hub.subscribeForApplication(connection, topic);
  if (outcome === "topic-limit") return "topic-limit";
  if (outcome !== "already") hub.startDeliveryWhenLive(connection, outcome);
  return "done";
}

function unsubscribe(hub: Hub, connectionId: number, topic: string): "done" | "no-connection" {
  const connection = hub.connection(connectionId);
  if (connection === undefined) return "no-connection";
  hub.unsubscribeForApplication(connection, topic);
  return "done";
}
