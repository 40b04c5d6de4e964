import { setTimeout as delay } from "node:timers/promises";
import { type Bus, type BusMessage, parseJson } from "@fanwire/bus";
import {
  type Announcement,
  type ConnectionDescription,
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
import { firstIdAfter } from "./connection-pages.ts";
import { bytesOf, describeWithin } from "./describe-connection.ts";
import type { Hub } from "./hub.ts";
import { answerList, isListRequest } from "./list-answers.ts";
import { membersPage, namesOfTopics, namesPage } from "./member-pages.ts";
import { TooManyJobsError } from "./sliced-jobs.ts";
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
  readonly log: Log;
  describeWorker(): WorkerDescription;
  /** Returns what only a detailed description has. */
  describeDetails(): Promise<Partial<WorkerDescription>>;
};

type AnsweringParts = ControlParts & { readonly memory: WorkerMemory };

export type Control = {
  /** Announces that this worker has ended, so all connections must be closed. Resolves when NATS has the announcement. */
  stop(): Promise<void>;
};

/**
 * Answers control requests to this worker or to all workers, and announces the worker. Must be called before clients can connect, so
 * that publishers know of the worker before anybody knows an address of it.
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
  if (isListRequest(request)) {
    const list = answerList(request, { ...parts, maxBytes: maxReplyBytes(parts) });
    list
      .then((page) => respond(message, page, request.command, parts))
      .catch((error: unknown) => onFailed(error, parts));
    return;
  }
  if (request.command === "describe") {
    void describe(request, parts).then((reply) => message.respond(JSON.stringify(reply)));
    return;
  }
  respond(message, answer(request, parts), request.command, parts);
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
  // The caller would wait in vain for a reply that NATS refuses.
  log.error({ command }, "control reply exceeds max_payload");
  message.respond(JSON.stringify({ error: "reply exceeds max_payload of NATS" }));
}

function answer(request: Exclude<ControlRequest, ReceiptRequest | ListRequest | Describe>, parts: AnsweringParts) {
  const { hub, workerId: worker } = parts;
  switch (request.command) {
    case "has-ended":
      return { worker, hasEnded: hasProcessEnded(request.process) ?? null };
    case "recall-worker":
      return parts.memory.recall(request.about);
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
      return withUser(parts, request.user, (connection) => hub.unsubscribe(connection, request.topic));
    case "count-subscribers":
      return {
        worker,
        connections: hub.countSubscribers(request.topic),
        members: hub.presence.countMembers(request.topic),
      };
    case "members":
      return membersPage(request, hub.presence, { worker, maxBytes: maxReplyBytes(parts) });
    case "member-names":
      return namesPage(request, hub.presence, { worker, maxBytes: maxReplyBytes(parts) });
    case "member-names-of":
      return namesOfTopics(request, hub.presence, { worker, maxBytes: maxReplyBytes(parts) });
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
    stored.every(({ subject, position }) => {
      const parsed = parsePosition(position);
      return parsed !== undefined && hub.hasDelivered(subject, parsed);
    });
  while (!isDelivered() && performance.now() < deadline) await delay(RECEIPT_CHECK_MS);
  const isFinal = isDelivered();
  // Publications that wait for the end of the flush window count too.
  hub.flush();
  // Connections that are joining receive the publication when they have joined.
  while (!hub.receipts.hasCounted(id) && performance.now() < deadline) await delay(RECEIPT_CHECK_MS);
  const counted = await hub.receipts.take(id);
  return { worker: workerId, ...counted, isFinal: isFinal && counted.isFinal };
}

/** Calls `act`. Returns the description of the connection from before that, or null when there is none. */
function withConnection(parts: ControlParts, connectionId: number, act: (connection: Connection) => void) {
  const connection = parts.hub.connection(connectionId);
  if (connection === undefined) return null;
  const description = describeWithin(maxReplyBytes(parts), parts.hub.describe(connection));
  act(connection);
  return description;
}

/** Returns a page of the user's connections, ordered by connection id. */
function findUser({ user, after, limit = DEFAULT_LIMIT }: FindUser, parts: ControlParts): UserReply {
  const { hub, workerId: worker } = parts;
  const all = hub.connectionsOfUser(user);
  const first = firstIdAfter(after, worker);
  const wanted = all.filter((connection) => idOf(connection) >= first).sort((one, other) => idOf(one) - idOf(other));
  const connections: ConnectionDescription[] = [];
  let room = maxReplyBytes(parts);
  for (const connection of wanted) {
    if (connections.length >= limit) break;
    const description = describeWithin(maxReplyBytes(parts), hub.describe(connection));
    room -= bytesOf(description);
    // A page has at least one connection, because the caller could not get past it otherwise.
    if (room < 0 && connections.length > 0) break;
    connections.push(description);
  }
  return { worker, count: all.length, connections, hasMore: connections.length < wanted.length };
}

function withUser(parts: ControlParts, user: string, act: (connection: Connection) => void): UserReply {
  const connections = parts.hub.connectionsOfUser(user);
  for (const connection of connections) act(connection);
  return { worker: parts.workerId, count: connections.length, connections: [], hasMore: false };
}

/** With a close code, closes only the connections whose protocol has it. */
function closeUser({ user, code }: CloseUser, { hub, workerId: worker }: ControlParts): UserReply {
  const all = hub.connectionsOfUser(user);
  const wanted =
    code === undefined ? all : all.filter((each) => each.getUserData().protocol.closing?.codes.has(code) ?? false);
  const closeCode = code === undefined ? closeCodes.closedByApplication : { ...closeCodes.closedByApplication, code };
  for (const connection of wanted) hub.end(connection, closeCode);
  return { worker, count: wanted.length, connections: [], hasMore: false };
}

function idOf(connection: Connection): number {
  return connection.getUserData().connectionId;
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
  if (outcome !== "already") hub.join(connection, outcome);
  return "done";
}

function unsubscribe(hub: Hub, connectionId: number, topic: string): "done" | "no-connection" {
  const connection = hub.connection(connectionId);
  if (connection === undefined) return "no-connection";
  hub.unsubscribe(connection, topic);
  return "done";
}
