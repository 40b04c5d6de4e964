import {
  type ConnectionAddress,
  connectionDescription,
  isHeaderName,
  isName,
  isTopic,
  isTopicPattern,
  type Publication,
  parseConnectionAddress,
  type Target,
  workerDescription,
} from "@fanwire/protocol";
import { z } from "@hono/zod-openapi";
import type { PublishRequest } from "../cluster/publish-result.ts";
import { type ErrorCode, errors } from "../http/errors.ts";

export const connectionAddress = z
  .string("must be the address of a connection")
  .transform((text, context): ConnectionAddress => {
    const address = parseConnectionAddress(text);
    if (address !== undefined) return address;
    context.addIssue({
      code: "custom",
      message: "is no connection address: it is a worker's id, a dot and a connection's number, such as k3v9x2ab.17",
    });
    return z.NEVER;
  })
  .openapi({
    description:
      "A connection's address: `<worker id>.<connection id>`, both from the greeting its WebSocket got on opening.",
    example: "k3v9x2ab.17",
  });

/** Part of a path or body: one topic. */
export const topicName = z
  .string("must be text")
  .refine(isTopic, "must be a topic of 1 to 255 bytes, no pattern")
  .openapi({ description: "A topic: 1 to 255 bytes of UTF-8, dots separate its tokens.", example: "orders.7" });

export const topicPattern = z
  .string("must be text")
  .refine(isTopicPattern, "must be a topic or a pattern of 1 to 255 bytes")
  .openapi({
    description: "A topic, or a pattern in which a token may be `*` (any one) and the last `>` (one or more).",
    example: "orders.*",
  });

export const userName = z
  .string("must be text")
  .refine(isName, "must be a name of 1 to 255 bytes")
  .openapi({ description: "The application's identity of a user: `sub` of its token.", example: "anna" });

const MAX_TOPICS = 100;

const everyoneTarget = z
  .strictObject({ everyone: z.literal(true, "must be true") })
  .transform((): Target[] => [{ kind: "everyone" }]);
const topicTarget = z.strictObject({ topic: topicName }).transform(({ topic }): Target[] => [{ kind: "topic", topic }]);
const topicsTarget = z
  .strictObject({
    topics: z
      .array(topicName, "must be an array of topics")
      .min(1, "must name at least one topic")
      .max(MAX_TOPICS, `must name at most ${MAX_TOPICS} topics`)
      .refine((topics) => new Set(topics).size === topics.length, "must not name a topic twice")
      .openapi({ description: "Several topics; each gets a publication of its own.", example: ["orders.7", "audit"] }),
  })
  .transform(({ topics }) => topics.map((topic): Target => ({ kind: "topic", topic })));
const userTarget = z.strictObject({ user: userName }).transform(({ user }): Target[] => [{ kind: "user", user }]);
const connectionTarget = z
  .strictObject({ connection: connectionAddress })
  .transform(({ connection }): Target[] => [{ kind: "connection", connection }]);

/** Target of a publication. Each kind of target has a key of its own. */
const target = z
  .union(
    [everyoneTarget, topicTarget, topicsTarget, userTarget, connectionTarget],
    'must be one of {"everyone": true}, {"topic": "<topic>"}, {"topics": ["<topic>", …]}, {"user": "<user>"}, {"connection": "<worker id>.<connection id>"}',
  )
  .openapi({
    description:
      "Who it is for: every open connection of the cluster, those that follow a topic or several, those of a user, or one.",
    example: { everyone: true },
  });

const headerName = z
  .string("must be text")
  .refine(
    isHeaderName,
    "must be 1 to 255 bytes of UTF-8 without control characters, beginning and ending with no space",
  );

/** Events of this name tell clients of the cluster itself, such as that it closes a connection. */
const OWN_EVENTS = "fanwire.";

/** Whether an application may call its publication so. */
export function isEventName(text: string): boolean {
  return isHeaderName(text) && !text.startsWith(OWN_EVENTS);
}

/** One publication, as a caller sends it. Returns one publication for each topic of the target. */
export const publicationRequest = z
  .strictObject({
    target,
    data: z
      .string("must be text; to send JSON, send it as text")
      .describe(
        "The content. Connections get its bytes as they are: a text frame if they are UTF-8, else a binary one.",
      ),
    encoding: z
      .enum(["utf8", "base64"], 'must be "utf8" or "base64"')
      .optional()
      .describe("How `data` stands for bytes: as UTF-8 (default), or as padded base64 of any bytes."),
    event: headerName
      .refine(isEventName, `must not begin with ${OWN_EVENTS}`)
      .optional()
      .describe("The application's own name for it; not `fanwire.…`. Default: `message`."),
    id: headerName
      .optional()
      .describe(
        "The application's own id for it. What is durable is stored once in two minutes for each target and id.",
      ),
    durable: z
      .boolean("must be true or false")
      .optional()
      .describe("Whether it is stored, for those who come back later. Not for a connection, which never comes back."),
    except: connectionAddress.optional().openapi({
      description: "Address of a connection that must not get it, though the target includes it.",
    }),
    receipt: z
      .boolean("must be true or false")
      .optional()
      .describe("Whether the answer says who got it; it waits for the workers' word then."),
  })
  .transform((request, context): PublishRequest => {
    const content = contentBytes(request.data, request.encoding);
    if ("problem" in content) {
      context.addIssue({ code: "custom", path: ["data"], message: content.problem });
      return z.NEVER;
    }
    const isDurable = request.durable === true;
    if (isDurable && request.target.some(({ kind }) => kind === "connection")) {
      const message = "cannot be true for a connection: nobody could come back to it";
      context.addIssue({ code: "custom", path: ["durable"], message });
      return z.NEVER;
    }
    const rest = {
      content: content.bytes,
      ...(request.event !== undefined && { event: request.event }),
      ...(request.id !== undefined && { id: request.id }),
      ...(request.except !== undefined && { except: request.except }),
    };
    const publications = request.target.map((each): Publication => ({ target: each, ...rest }));
    return { publications, isDurable, wantsReceipt: request.receipt === true };
  })
  .openapi("Publication");

function contentBytes(data: string, encoding: "utf8" | "base64" = "utf8"): { bytes: Uint8Array } | { problem: string } {
  if (encoding === "base64") {
    const bytes = Buffer.from(data, "base64");
    // The decoder skips what it does not know; only what it would write itself is base64 without a doubt.
    return bytes.toString("base64") === data ? { bytes } : { problem: "is no base64 (standard alphabet, padded)" };
  }
  if (!isWellFormed(data)) return { problem: "holds half of a surrogate pair, which has no UTF-8 form" };
  return { bytes: Buffer.from(data) };
}

/** Whether the text has a UTF-8 form: half of a surrogate pair has none. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

const position = z
  .string()
  .openapi({ description: "A place in the history: `<epoch>-<sequence>`.", example: "dn2tklp5nv31-1043" });

const receipt = z
  .object({
    delivered: z.int().describe("Connections it was handed to that hold nothing unsent."),
    buffered: z.int().describe("Connections whose worker holds it, or what came before it, because they read slowly."),
    workers: z.int().describe("Workers that said so."),
    missing: z
      .int()
      .describe(
        "Workers that did not say so in time, or have it still to come: not all of their connections are counted.",
      ),
    complete: z.boolean().describe("Whether all workers that there are said so."),
  })
  .openapi("Receipt");

export const publicationStatus = z
  .object({
    status: z
      .enum(["published", "stored", "delivered", "buffered", "forwarded"])
      .describe(
        "`published`: NATS has it and gives it to every worker. `stored`: the history has it, and gives it to every worker. `delivered`: the connection's worker handed it to the network. `buffered`: the worker holds it, because the connection reads slowly. `forwarded`: a Workerman worker has it, which does not say what it does with it.",
      ),
    position: position.optional().describe("Of what is stored: where it stands; of several, the last."),
    positions: z.array(position).optional().describe("To several topics: where each stands, in their order."),
    duplicate: z
      .literal(true)
      .optional()
      .describe("It was stored before, under the same id; `position` is where. Nothing was sent again."),
    receipt: receipt
      .optional()
      .describe(
        "With `receipt`, unless it is a duplicate: who got it, counted once for each subscription that brought it.",
      ),
  })
  .openapi("PublicationStatus", { example: { status: "published" } });

const errorCodes = Object.keys(errors) as [ErrorCode, ...ErrorCode[]]; // the table has entries
export const errorReply = z
  .object({
    error: z.object({
      code: z.enum(errorCodes).describe("What happened, for programs."),
      message: z.string().describe("What happened, for people. The wording may change."),
      details: z
        .array(
          z.object({
            index: z.int().optional().describe("Which publication of a batch, counted from 0."),
            field: z.string().optional().describe("Such as `target.connection`; absent when it concerns the whole."),
            message: z.string(),
          }),
        )
        .optional()
        .describe("What is wrong with the request, piece by piece."),
    }),
  })
  .openapi("Error");

export const batchReply = z
  .object({
    results: z
      .array(z.union([publicationStatus, errorReply]))
      .describe("One for each publication, in the order of the request."),
  })
  .openapi("BatchResults");

// Created again here, because the document can name only schemas that were created after zod-openapi was loaded.
export const connectionReply = z.object(connectionDescription.shape).openapi("Connection");
const worker = z.object(workerDescription.omit({ process: true }).shape).openapi("Worker");
export const clusterReply = z
  .object({
    workers: z.array(worker).describe("Every worker that answered, by id."),
    missing: z
      .array(z.string())
      .optional()
      .describe("Ids of workers that are known and did not answer: they hang, or reconnect to NATS."),
  })
  .openapi("Cluster");

/** Fields of answers that all workers contribute to. */
const gap = {
  missing: z.int().optional().describe("Known workers that did not answer; their connections are not counted."),
  complete: z
    .literal(false)
    .optional()
    .describe("Present when not every worker that may be there has answered: there may be more."),
};

export const userReply = z
  .object({
    user: userName,
    count: z.int().describe("Open connections of the user, on all workers that answered."),
    connections: z
      .array(connectionReply)
      .describe("At most `limit`, in the order of their addresses, and no more of one worker than fit into 256 KiB."),
    next: z.string().optional().describe("Present when there are more: the address to ask with next, as `after`."),
    ...gap,
  })
  .openapi("User");

export const affectedReply = z
  .object({ connections: z.int().describe("Connections of the user.") })
  .openapi("Affected");

export const followersReply = z
  .object({
    topic: topicName,
    connections: z.int().describe("Connections that a publication to it reaches now, on all workers that answered."),
    ...gap,
  })
  .openapi("Followers");

export const storedPublication = z
  .object({
    position,
    topic: topicName,
    event: z.string().describe("The application's name for it; `message` when it gave none."),
    data: z.string(),
    encoding: z.literal("base64").optional().describe("Present when the content is not UTF-8."),
    id: z.string().optional().describe("The application's own id for it."),
    time: z.string().describe("When it was stored: ISO 8601, UTC."),
  })
  .openapi("StoredPublication");

export const historyReply = z
  .object({
    publications: z.array(storedPublication).describe("In order. At most `limit`, and about 4 MiB of content."),
    position: position.describe("What to ask with next, as `since`."),
    complete: z
      .boolean()
      .describe("Whether it is certain that nothing published between `since` and `position` is missing."),
  })
  .openapi("History");
