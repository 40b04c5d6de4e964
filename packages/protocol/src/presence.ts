import * as z from "zod";
import { isWorkerId } from "./connection-address.ts";
import { isSmallInfo } from "./member-info.ts";
import { isName } from "./names.ts";
import { isTopic } from "./topics.ts";

const worker = z.string().refine(isWorkerId);
const user = z.string().refine(isName);
const topic = z.string().refine(isTopic);
/** A value of the clock of a worker, which counts its announcements of all topics. */
const clock = z.int().nonnegative();

/** A user with connections to the sending worker. */
const present = z.object({
  user,
  /** Unix milliseconds at which the oldest of these connections joined. */
  since: z.number(),
  /** The `info` of that connection; absent if it has none. */
  info: z.unknown().refine(isSmallInfo).optional(),
  /** Only of a user that claims one of a limited number of places, and is no member yet: the order of the claim. */
  claim: z.number().optional(),
});
export type PresentUser = {
  readonly user: string;
  readonly since: number;
  readonly info?: unknown;
  readonly claim?: number | undefined;
};

/**
 * Announcement of the users of one worker on the subject of a topic. It turns the state of `previous` into that of
 * `counter`. Both are values of the worker's clock; `previous` is 0 if the worker had no user on the topic.
 *
 * A repetition of the last announcement has `previous` equal to `counter`, so that a receiver notices that it was lost.
 */
export const presenceAnnouncement = z.object({
  worker,
  previous: clock,
  counter: clock,
  joined: z.array(present),
  left: z.array(user),
  /** Whether the worker has no user on the topic after it. */
  isEmpty: z.boolean().optional(),
});
export type PresenceAnnouncement = {
  readonly worker: string;
  readonly previous: number;
  readonly counter: number;
  readonly joined: readonly PresentUser[];
  readonly left: readonly string[];
  readonly isEmpty?: boolean;
};

/** Message of a worker to all workers. */
export const presenceNotice = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("beat"),
    worker,
    /** Counts up by one, or by more if announcements of the worker may be lost. */
    beat: z.int().positive(),
    /** Number of topics that connections of the worker have joined or are joining. */
    topics: z.int().nonnegative(),
    /** Whether every worker should send a beat at once. */
    isRollCall: z.boolean().optional(),
  }),
  /** The worker ends. It has no connections any longer. */
  z.object({ kind: z.literal("end"), worker }),
]);
export type PresenceNotice = z.infer<typeof presenceNotice>;

/** Message of a worker to another. */
export const presenceMessage = z.discriminatedUnion("kind", [
  /** Asks for the users of the receiver on some topics. */
  z.object({ kind: z.literal("ask"), worker, id: z.int(), topics: z.array(topic) }),
  /** One page of the answer. */
  z.object({
    kind: z.literal("answer"),
    worker,
    /** The id of the question. */
    id: z.int(),
    /** The clock at the beginning of the answer. A topic that no page has was empty then, or became so later. */
    clock,
    snapshots: z.array(
      z.object({
        topic,
        counter: clock,
        users: z.array(present),
        /** Whether the next page continues the users of the topic. */
        isPart: z.boolean().optional(),
      }),
    ),
    isLast: z.boolean(),
  }),
  /** Asks the receiver to answer when it has sent everything that it has announced so far. */
  z.object({ kind: z.literal("fence"), worker, id: z.int() }),
  /** The answer. `id` is that of the fence. */
  z.object({ kind: z.literal("passed"), worker, id: z.int() }),
]);
export type PresenceAsk = {
  readonly kind: "ask";
  readonly worker: string;
  readonly id: number;
  readonly topics: readonly string[];
};
export type PresenceFence = { readonly kind: "fence" | "passed"; readonly worker: string; readonly id: number };
export type PresenceAnswer = Extract<z.infer<typeof presenceMessage>, { kind: "answer" }>;
