import { setTimeout as delay } from "node:timers/promises";
import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import {
  type ControlRequest,
  closeCodes,
  controlRequest,
  MAX_NAMED_CONNECTIONS,
  parsePosition,
  type ReceiptReply,
  type Subjects,
  type WorkerDescription,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Connection } from "./connection.ts";
import type { Edge } from "./edge.ts";

const RECEIPT_CHECK_MS = 10;

type ReceiptRequest = Extract<ControlRequest, { command: "receipt" }>;

type ControlParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  readonly edge: Edge;
  readonly log: Log;
  describeWorker(): WorkerDescription;
};

/** Answers what other services ask of this worker, alone or with all others. */
export function startControl(parts: ControlParts): BusSubscription[] {
  const { bus, subjects, workerId, log } = parts;

  const onRequest = (message: BusMessage) => {
    const request = parseRequest(message.data);
    if (request === undefined) {
      log.warn({ subject: message.subject }, "a control request could not be read");
      message.respond(JSON.stringify({ error: "not a control request" }));
      return;
    }
    if (request.command === "receipt") {
      void answerReceipt(request, parts).then((reply) => message.respond(JSON.stringify(reply)));
      return;
    }
    const reply = answer(request, parts);
    // Who is told that something is followed may publish to it at once: NATS must hear of it first.
    bus.writeHeld();
    message.respond(JSON.stringify(reply));
  };

  return [subjects.worker(workerId), subjects.allWorkers].map((subject) => bus.subscribe(subject, onRequest));
}

function answer(request: Exclude<ControlRequest, ReceiptRequest>, { edge, describeWorker }: ControlParts) {
  switch (request.command) {
    case "describe":
      return describeWorker();
    case "find-connection":
      return { connection: withConnection(edge, request.connectionId, () => {}) };
    case "close-connection":
      return {
        connection: withConnection(edge, request.connectionId, (connection) =>
          edge.end(connection, closeCodes.closedByApplication),
        ),
      };
    case "follow":
      return { outcome: follow(edge, edge.connection(request.connectionId), request.topic) };
    case "unfollow":
      return { outcome: unfollow(edge, request.connectionId, request.topic) };
    case "find-user":
      return withUser(edge, request.user, () => {});
    case "close-user":
      return withUser(edge, request.user, (connection) => edge.end(connection, closeCodes.closedByApplication));
    case "follow-user":
      return withUser(edge, request.user, (connection) => void follow(edge, connection, request.topic));
    case "unfollow-user":
      return withUser(edge, request.user, (connection) => edge.unfollow(connection, request.topic));
    case "count-followers":
      return { connections: edge.countFollowers(request.topic) };
  }
}

/** Of what is stored the word waits until it has come: the history republishes it on a way of its own. */
async function answerReceipt(
  { id, stored, waitMs }: ReceiptRequest,
  { edge, workerId }: ControlParts,
): Promise<ReceiptReply> {
  const deadline = performance.now() + waitMs;
  const hasCome = () =>
    stored.every(({ subject, position }) => {
      const parsed = parsePosition(position);
      return parsed !== undefined && edge.hasServed(subject, parsed);
    });
  while (!hasCome() && performance.now() < deadline) await delay(RECEIPT_CHECK_MS);

  const isFinal = hasCome();
  // What waits for the end of the flush window counts too.
  edge.flush();
  const counted = await edge.receipts.take(id);
  return { worker: workerId, ...counted, isFinal: isFinal && counted.isFinal };
}

/** Describes the connection as it was before `act`, or null when there is none. */
function withConnection(edge: Edge, connectionId: number, act: (connection: Connection) => void) {
  const connection = edge.connection(connectionId);
  if (connection === undefined) return null;
  const description = edge.describe(connection);
  act(connection);
  return description;
}

/** Describes the user's connections as they are after `act`, or, where it closed them, were. */
function withUser(edge: Edge, user: string, act: (connection: Connection) => void) {
  const connections = edge.connectionsOfUser(user);
  const described = connections.slice(0, MAX_NAMED_CONNECTIONS).map((connection) => edge.describe(connection));
  for (const connection of connections) act(connection);
  return { count: connections.length, connections: described };
}

function follow(edge: Edge, connection: Connection | undefined, topic: string): "done" | "topic-limit" | "gone" {
  if (connection === undefined) return "gone";
  const followed = edge.followForApplication(connection, topic);
  if (followed === "topic-limit") return "topic-limit";
  if (followed !== "already") edge.join(connection, followed);
  return "done";
}

function unfollow(edge: Edge, connectionId: number, topic: string): "done" | "gone" {
  const connection = edge.connection(connectionId);
  if (connection === undefined) return "gone";
  edge.unfollow(connection, topic);
  return "done";
}

function parseRequest(data: Uint8Array): ControlRequest | undefined {
  try {
    return controlRequest.safeParse(JSON.parse(Buffer.from(data).toString())).data;
  } catch {
    return undefined;
  }
}
