import * as z from "zod";
import { isWorkerId, parseConnectionAddress } from "./connection-address.ts";
import { isName } from "./names.ts";
import { isTopicPattern } from "./topics.ts";

const topic = z.string().refine(isTopicPattern);
const user = z.string().refine(isName);

/** What may be asked of a worker on its control subject. Requests and replies are JSON. */
export const controlRequest = z.discriminatedUnion("command", [
  z.object({ command: z.literal("describe") }),
  z.object({ command: z.literal("find-connection"), connectionId: z.int().positive() }),
  z.object({ command: z.literal("close-connection"), connectionId: z.int().positive() }),
  z.object({ command: z.literal("subscribe"), connectionId: z.int().positive(), topic }),
  z.object({ command: z.literal("unsubscribe"), connectionId: z.int().positive(), topic }),
  z.object({
    command: z.literal("find-user"),
    user,
    /** Address of the connection after which to begin, in the order of addresses. */
    after: z.string().refine(isAddress).optional(),
    /** Most connections to describe; 100 when absent. */
    limit: z.int().nonnegative().optional(),
  }),
  z.object({ command: z.literal("close-user"), user }),
  z.object({ command: z.literal("subscribe-user"), user, topic }),
  z.object({ command: z.literal("unsubscribe-user"), user, topic }),
  z.object({ command: z.literal("count-subscribers"), topic }),
  z.object({
    command: z.literal("has-ended"),
    /** As in the announcement of the worker that it is about. */
    process: z.string(),
  }),
  z.object({
    command: z.literal("recall-worker"),
    /** Id of the worker that the caller does not know. */
    about: z.string().refine(isWorkerId),
  }),
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

function isAddress(text: string): boolean {
  return parseConnectionAddress(text) !== undefined;
}

/**
 * What a worker says of itself, unasked. `here`: at its start, before it has any connection, and whenever it is connected to NATS
 * again. `ended`: all of its connections are closed and there will be no others, so that nobody has their addresses any more.
 */
export const announcement = z.object({
  worker: z.string().refine(isWorkerId),
  state: z.enum(["here", "ended"]),
  /** Which process it is, for those on the same machine. */
  process: z.string().optional(),
});
export type Announcement = z.infer<typeof announcement>;

/** Answer to `has-ended`: whether the process exists no more; null when the worker that answers cannot know. */
export const endedReply = z.object({ worker: z.string(), hasEnded: z.boolean().nullable() });

/** Answer to `recall-worker`: what the worker that answers has received from the other one. */
export const recallReply = z.object({
  worker: z.string(),
  /**
   * `ended`: it announced its end. `unknown`: nothing was received from it, or not in the last minutes.
   * `unsure`: the same, from a worker that has just connected to NATS and may not have received everything yet.
   */
  state: z.enum(["here", "ended", "unknown", "unsure"]),
  /** As in its announcement. */
  process: z.string().optional(),
  /** How long nothing has been received from it. */
  silentMs: z.number().nonnegative().optional(),
});
export type RecallReply = z.infer<typeof recallReply>;

/** One worker, as `GET /v1/cluster` shows it, and which process it is. */
export const workerDescription = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  /** As in its announcement. */
  process: z.string().optional(),
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
  protocol: z.string().describe("Name of the client protocol: `raw`, `fanwire.v1` or `sse`."),
  /** The application's identity, from its token. */
  user: z.string().optional(),
  /** Topics and patterns it follows. */
  topics: z.array(z.string()),
  /** How many more it follows, when they are too many for one answer. */
  omittedTopics: z.int().optional(),
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
export const subscribeReply = z.object({ outcome: z.enum(["done", "topic-limit", "gone"]) });

/** Answer to all commands about a user: how many connections it has, or had, on the worker that answers. */
export const userReply = z.object({
  worker: z.string(),
  count: z.int(),
  /** Answer to `find-user`: a page of them, in the order of their numbers. */
  connections: z.array(connectionDescription),
  /** Whether there are more of them behind the page. */
  hasMore: z.boolean(),
});
export type UserReply = z.infer<typeof userReply>;

/** Answer to `count-followers`: connections on the worker that answers which a publication to the topic reaches. */
export const followersReply = z.object({ worker: z.string(), connections: z.int() });

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
