import * as z from "zod";
import { parseConnectionAddress } from "./connection-address.ts";
import { connectionDescription } from "./connection-description.ts";
import { isName } from "./names.ts";
import { isTopicPattern } from "./topics.ts";

/** Maximum length of the text that a list is searched for, in UTF-16 units. */
export const MAX_SEARCH = 255;
/** Maximum number of topics or users that one reply has in the order of their connections. */
export const MAX_BUSIEST = 2_000;

const address = z.string().refine((text) => parseConnectionAddress(text) !== undefined);
/** Text that the name contains. */
const search = z.string().max(MAX_SEARCH).optional();
const limit = z.int().positive();
const busiestLimit = limit.max(MAX_BUSIEST);

/** Filters of topics. Patterns are not listed. */
const topicFilter = { prefix: z.string().optional(), search };
/** Filters of connections. All of them must match. */
const connectionFilter = {
  /** Text that the address, the user or the remote address contains. */
  search,
  /** Name of the client protocol. */
  protocol: z.string().optional(),
  user: z.string().refine(isName).optional(),
  /** The connection is subscribed to exactly this topic or pattern. */
  topic: z.string().refine(isTopicPattern).optional(),
};

/**
 * Place of a connection in the order of unsent bytes, then number of topics, both from the highest on. Equal ones are
 * in the order of addresses.
 */
export const busyPlace = z.object({ unsentBytes: z.int().nonnegative(), topics: z.int().nonnegative(), address });
export type BusyPlace = z.infer<typeof busyPlace>;

/** Requests for one page of a list. `limit` is the maximum number of items in the reply. */
export const listRequests = [
  z.object({
    command: z.literal("list-topics"),
    ...topicFilter,
    /** Topic after which the page begins, in the order of UTF-16 units. */
    after: z.string().optional(),
    limit,
  }),
  z.object({
    command: z.literal("list-users"),
    search,
    /** User after which the page begins, in the order of UTF-16 units. */
    after: z.string().optional(),
    limit,
  }),
  /** The topics with most connections of the replying worker. */
  z.object({ command: z.literal("busiest-topics"), ...topicFilter, limit: busiestLimit }),
  /** The users with most connections to the replying worker. */
  z.object({ command: z.literal("busiest-users"), search, limit: busiestLimit }),
  z.object({ command: z.literal("count-subscriptions"), topics: z.array(z.string().refine(isTopicPattern)) }),
  z.object({ command: z.literal("count-user-connections"), users: z.array(z.string().refine(isName)) }),
  z.object({
    command: z.literal("list-connections"),
    ...connectionFilter,
    /** Address after which the page begins. */
    after: address.optional(),
    limit,
  }),
  z.object({
    command: z.literal("busiest-connections"),
    ...connectionFilter,
    /** Place after which the page begins. */
    after: busyPlace.optional(),
    limit,
  }),
] as const;
export type ListRequest = z.infer<(typeof listRequests)[number]>;

/** Names, each with the number of its connections on the replying worker. */
const counted = z.array(z.tuple([z.string(), z.int()]));
const page = {
  worker: z.string(),
  /** Whether there are more items after the page. */
  hasMore: z.boolean(),
  /** Number of all items of the replying worker that match. Absent from workers of earlier versions. */
  total: z.int().optional(),
};

/**
 * Reply to `list-topics` and `busiest-topics`: topics with a subscriber on the replying worker, sorted by name, or by
 * connections from the highest number on and then by name.
 */
export const topicsReply = z.object({ ...page, topics: counted });
export type TopicsReply = z.infer<typeof topicsReply>;

/** Reply to `list-users` and `busiest-users`, sorted like {@link topicsReply}. */
export const usersReply = z.object({ ...page, users: counted });
export type UsersReply = z.infer<typeof usersReply>;

/** Reply to `count-subscriptions` and `count-user-connections`: a number for each name of the request. */
export const subscriptionsReply = z.object({ worker: z.string(), connections: z.array(z.int()) });
export type SubscriptionsReply = z.infer<typeof subscriptionsReply>;

/** Reply to `list-connections` and `busiest-connections`. */
export const connectionsReply = z.object({
  ...page,
  total: z.int(),
  connections: z.array(connectionDescription),
  /** Reply to `busiest-connections`: the place of each connection. The numbers may be older than the descriptions. */
  places: z.array(busyPlace).optional(),
  /** With `hasMore`, the place at which the page of `busiest-connections` ends. Its connection may have closed. */
  end: busyPlace.optional(),
});
export type ConnectionsReply = z.infer<typeof connectionsReply>;
