import * as z from "zod";
import { isWorkerId, parseConnectionAddress } from "./connection-address.ts";
import { connectionDescription } from "./connection-description.ts";
import { listRequests } from "./list-messages.ts";
import { isName } from "./names.ts";
import { isTopicPattern } from "./topics.ts";

const topic = z.string().refine(isTopicPattern);
const user = z.string().refine(isName);

/** Request to a worker on its control subject. Requests and replies are JSON. */
export const controlRequest = z.discriminatedUnion("command", [
  z.object({
    command: z.literal("describe"),
    /** Adds what takes a look at each connection, or at the process. */
    detailed: z.boolean().optional(),
  }),
  z.object({ command: z.literal("find-connection"), connectionId: z.int().positive() }),
  z.object({ command: z.literal("close-connection"), connectionId: z.int().positive() }),
  z.object({ command: z.literal("subscribe"), connectionId: z.int().positive(), topic }),
  z.object({ command: z.literal("unsubscribe"), connectionId: z.int().positive(), topic }),
  z.object({
    command: z.literal("find-user"),
    user,
    /** Address of the connection after which the page begins, in the order of addresses. */
    after: z.string().refine(isAddress).optional(),
    /** Maximum number of connections in the reply; 100 when absent. */
    limit: z.int().nonnegative().optional(),
  }),
  z.object({
    command: z.literal("close-user"),
    user,
    /** Close code of the Pusher protocol. With it, only connections of that protocol are closed. */
    code: z.union([z.literal(4009), z.literal(4200)]).optional(),
  }),
  z.object({ command: z.literal("subscribe-user"), user, topic }),
  z.object({ command: z.literal("unsubscribe-user"), user, topic }),
  z.object({ command: z.literal("count-subscribers"), topic }),
  ...listRequests,
  z.object({
    command: z.literal("members"),
    topic,
    /** The page begins after this user. */
    after: user.optional(),
    /** Maximum number of members in the reply; 100 when absent. */
    limit: z.int().nonnegative().optional(),
  }),
  /** Like `members`, with the names only, so that a page has as many as fit into a reply. */
  z.object({ command: z.literal("member-names"), topic, after: user.optional() }),
  /** Like `member-names`, for the first of several topics, as many as fit into a reply. */
  z.object({ command: z.literal("member-names-of"), topics: z.array(topic) }),
  z.object({
    command: z.literal("has-ended"),
    /** Process from the announcement of the worker in question. */
    process: z.string(),
  }),
  z.object({
    command: z.literal("recall-worker"),
    /** Id of the worker that the caller does not know. */
    about: z.string().refine(isWorkerId),
  }),
  z.object({ command: z.literal("recall-workers") }),
  z.object({
    command: z.literal("receipt"),
    id: z.string(),
    /** Positions of stored publications for which the reply waits. Live publications arrive before their request. */
    stored: z.array(z.string()),
    /** Maximum wait for the stored publications, in milliseconds. */
    waitMs: z.int().positive(),
  }),
]);
export type ControlRequest = z.infer<typeof controlRequest>;

function isAddress(text: string): boolean {
  return parseConnectionAddress(text) !== undefined;
}

/**
 * Announcement of a worker. A worker sends `here` when it starts, before it accepts connections, and after each
 * reconnect to NATS. It sends `ended` when all of its connections are closed and it accepts no others.
 */
export const announcement = z.object({
  worker: z.string().refine(isWorkerId),
  state: z.enum(["here", "ended"]),
  /** Identity of its process, for other processes of the same machine. */
  process: z.string().optional(),
});
export type Announcement = z.infer<typeof announcement>;

/** Reply to `has-ended`: whether the process no longer exists; null when the replying worker cannot know. */
export const endedReply = z.object({ worker: z.string(), hasEnded: z.boolean().nullable() });

/** Reply to `recall-worker`: what the replying worker has received from the other one. */
export const recallReply = z.object({
  worker: z.string(),
  /**
   * `ended`: it announced its end. `unknown`: nothing was received from it, or not in the last minutes.
   * `unsure`: the same, from a worker that has just connected to NATS and may not have received everything yet.
   */
  state: z.enum(["here", "ended", "unknown", "unsure"]),
  /** As in its announcement. */
  process: z.string().optional(),
  /** Time since the last message from it, in milliseconds. */
  silentMs: z.number().nonnegative().optional(),
});
export type RecallReply = z.infer<typeof recallReply>;

/** Reply to `recall-workers`: the other workers that the replying worker remembers as running. */
export const recallAllReply = z.object({
  worker: z.string(),
  workers: z.array(
    z.object({
      id: z.string().refine(isWorkerId),
      process: z.string().optional(),
      silentMs: z.number().nonnegative(),
    }),
  ),
  /** False: the worker has just connected to NATS, or remembers more than a reply has room for. */
  isComplete: z.boolean(),
});
export type RecallAllReply = z.infer<typeof recallAllReply>;

/** Reply to `find-connection` and `close-connection`: the connection as it was, or null when there is none. */
export const connectionReply = z.object({ connection: connectionDescription.nullable() });

/** Reply to `subscribe` and `unsubscribe`. */
export const subscribeReply = z.object({ outcome: z.enum(["done", "topic-limit", "no-connection"]) });

/** Reply to all commands about a user: the number of its connections on the replying worker. */
export const userReply = z.object({
  worker: z.string(),
  count: z.int(),
  /** Reply to `find-user`: a page of the connections, in the order of their numbers. */
  connections: z.array(connectionDescription),
  /** Whether there are more connections after the page. */
  hasMore: z.boolean(),
});
export type UserReply = z.infer<typeof userReply>;

/** Reply to `count-subscribers`, about the connections of the replying worker. */
export const subscribersReply = z.object({
  worker: z.string(),
  /** Those that a publication to the topic reaches. */
  connections: z.int(),
  /** Users whose connections have joined the topic with presence. */
  members: z.int(),
});

/** Reply to `members`, about the connections of the replying worker. */
export const membersReply = z.object({
  worker: z.string(),
  /** A page of the members, sorted by user. */
  members: z.array(
    z.object({
      user,
      /** Unix milliseconds at which the oldest of the connections joined. */
      since: z.number(),
      /** The `info` of that connection; absent if it has none. */
      info: z.unknown().optional(),
      connections: z.int(),
    }),
  ),
  /** Whether there are more members after the page. */
  hasMore: z.boolean(),
});
export type MembersReply = z.infer<typeof membersReply>;

/** Reply to `member-names`: a page of the users, sorted. */
export const memberNamesReply = z.object({ worker: z.string(), users: z.array(user), hasMore: z.boolean() });
export type MemberNamesReply = z.infer<typeof memberNamesReply>;

/** Reply to `member-names-of`: the users on the first topics of the request, at least on one. */
export const memberNamesOfReply = z.object({
  worker: z.string(),
  /** Null for a topic with more users than a reply has room for. */
  users: z.array(z.array(user).nullable()),
});
export type MemberNamesOfReply = z.infer<typeof memberNamesOfReply>;

/**
 * Reply to `receipt`: counts of connections that received the publications with that id, once for each subscription.
 */
export const receiptReply = z.object({
  worker: z.string(),
  /** Connections that have nothing unsent after it. */
  delivered: z.int(),
  /** Slow consumers: connections with unsent bytes of it, or of earlier publications. */
  buffered: z.int(),
  /** False: the worker has not received a publication, or no longer remembers it. The counts may be too low. */
  isFinal: z.boolean(),
});
export type ReceiptReply = z.infer<typeof receiptReply>;

/**
 * Outcome of a publication to one connection. `delivered`: the network accepted all of it. `buffered`: it waits in the
 * worker's memory because the connection reads slowly. `forwarded`: sent to a Workerman worker, which does not confirm
 * that it has the connection. `no-connection`: there is no such connection, or it was closed because it reads too
 * slowly. `uncarried`: nothing was sent, because the connection's protocol cannot carry the content or the event.
 */
export const deliveryReply = z.object({
  outcome: z.enum(["delivered", "buffered", "forwarded", "no-connection", "uncarried"]),
});
export type DeliveryOutcome = z.infer<typeof deliveryReply>["outcome"];
