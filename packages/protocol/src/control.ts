import * as z from "zod";
import { isName } from "./names.ts";
import { isTopicPattern } from "./topics.ts";

const topic = z.string().refine(isTopicPattern);
const user = z.string().refine(isName);

/** What may be asked of a worker on its control subject. Requests and replies are JSON. */
export const controlRequest = z.discriminatedUnion("command", [
  z.object({ command: z.literal("describe") }),
  z.object({ command: z.literal("find-connection"), connectionId: z.int().positive() }),
  z.object({ command: z.literal("close-connection"), connectionId: z.int().positive() }),
  z.object({ command: z.literal("follow"), connectionId: z.int().positive(), topic }),
  z.object({ command: z.literal("unfollow"), connectionId: z.int().positive(), topic }),
  z.object({ command: z.literal("find-user"), user }),
  z.object({ command: z.literal("close-user"), user }),
  z.object({ command: z.literal("follow-user"), user, topic }),
  z.object({ command: z.literal("unfollow-user"), user, topic }),
  z.object({ command: z.literal("count-followers"), topic }),
  z.object({
    command: z.literal("receipt"),
    id: z.string(),
    /** Where in the history it stands that the answer waits for, by log subject; a live publication has come before its request. */
    stored: z.array(z.object({ subject: z.string(), position: z.string() })),
    /** How long the answer may wait for that. */
    waitMs: z.int().positive(),
  }),
]);
export type ControlRequest = z.infer<typeof controlRequest>;

/** One worker, as `GET /v1/cluster` shows it. */
export const workerDescription = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  version: z.string(),
  /** Whole seconds since the worker started. */
  uptimeSeconds: z.number(),
  connections: z.int(),
  /** Averages over the last ten seconds or so. */
  rates: z.object({
    publicationsPerSecond: z.number(),
    deliveriesPerSecond: z.number(),
    bytesPerSecond: z.number(),
    acceptedPerSecond: z.number(),
  }),
});
export type WorkerDescription = z.infer<typeof workerDescription>;

/** One connection, as `GET /v1/connections/{address}` shows it. */
export const connectionDescription = z.object({
  address: z.string(),
  door: z.enum(["raw", "fanwire.v1", "sse"]),
  /** The application's identity, from its token. */
  user: z.string().optional(),
  /** Topics and patterns it follows. */
  topics: z.array(z.string()),
  remoteAddress: z.string(),
  /** ISO 8601, UTC. */
  openedAt: z.string(),
  /** Bytes handed to the connection that the network has not taken yet. */
  unsentBytes: z.int(),
});
export type ConnectionDescription = z.infer<typeof connectionDescription>;

/** Answer to `find-connection` and `close-connection`: the connection (as it was), or null when there is none. */
export const connectionReply = z.object({ connection: connectionDescription.nullable() });

/** What became of `follow` and `unfollow`. */
export const followReply = z.object({ outcome: z.enum(["done", "topic-limit", "gone"]) });

/** Most connections that `find-user` names; `count` counts all. */
export const MAX_NAMED_CONNECTIONS = 100;

/** Answer to all commands about a user: its connections on the worker that answers. */
export const userReply = z.object({ count: z.int(), connections: z.array(connectionDescription) });

/** Answer to `count-followers`: connections on the worker that answers which a publication to the topic reaches. */
export const followersReply = z.object({ connections: z.int() });

/** Answer to `receipt`: who on the worker that answers got the publications with that id, once for each subscription. */
export const receiptReply = z.object({
  worker: z.string(),
  /** Connections it was handed to that hold nothing unsent. */
  delivered: z.int(),
  /** Connections that hold it, or what came before it, because they read slowly. */
  buffered: z.int(),
  /** False: something has not come, or is not remembered; more may have got it, or will. */
  isFinal: z.boolean(),
});
export type ReceiptReply = z.infer<typeof receiptReply>;

/**
 * What became of a publication to one connection. `delivered`: handed to the network whole. `buffered`: accepted, waiting
 * in the worker's memory because the connection reads slowly. `forwarded`: handed to a Workerman worker, which does not say
 * whether it has the connection. `gone`: no such connection, or it reads too slowly to keep.
 */
export const deliveryReply = z.object({ outcome: z.enum(["delivered", "buffered", "forwarded", "gone"]) });
export type DeliveryOutcome = z.infer<typeof deliveryReply>["outcome"];
