import {
  type ConnectionAddress,
  connectionDescription,
  isName,
  isTopic,
  isTopicPattern,
  isWorkerId,
  parseConnectionAddress,
} from "@fanwire/protocol";
import { z } from "@hono/zod-openapi";
import { type ErrorCode, errors } from "../http/errors.ts";

export const connectionAddress = z
  .string("must be the address of a connection")
  .transform((text, context): ConnectionAddress => {
    const address = parseConnectionAddress(text);
    if (address !== undefined) return address;
    context.addIssue({
      code: "custom",
      message: "must be a connection address: a worker id, a dot and a connection id, such as k3v9x2ab.17",
    });
    return z.NEVER;
  })
  .openapi({
    description:
      "Address of a connection: `<worker id>.<connection id>`. The pusher sends both ids when the connection opens.",
    example: "k3v9x2ab.17",
  });

/** Address of a connection to a pusher. Workerman workers answer no questions and no commands. */
export const pusherConnectionAddress = connectionAddress
  .refine(
    ({ workerId }) => isWorkerId(workerId),
    "must be the address of a connection to a pusher; a connection to a Workerman worker can only be published to",
  )
  .openapi({
    description: "Address of a connection to a pusher: `<worker id>.<connection id>`. Not one of a Workerman worker.",
    example: "k3v9x2ab.17",
  });

/** The address as the caller wrote it. */
export const connectionAddressText = z
  .string()
  .refine((text) => parseConnectionAddress(text) !== undefined, "must be a connection address, such as k3v9x2ab.17")
  .openapi({ description: "Address of a connection.", example: "k3v9x2ab.17" });

export const topicName = z
  .string("must be text")
  .refine(isTopic, "must be a topic of 1 to 255 bytes, not a pattern")
  .openapi({ description: "A topic: 1 to 255 bytes of UTF-8. Dots separate its tokens.", example: "orders.7" });

export const topicPattern = z
  .string("must be text")
  .refine(isTopicPattern, "must be a topic or a pattern of 1 to 255 bytes")
  .openapi({
    description: "A topic, or a pattern: `*` matches one token, `>` at the end matches one or more.",
    example: "orders.*",
  });

export const userName = z
  .string("must be text")
  .refine(isName, "must be a name of 1 to 255 bytes")
  .openapi({ description: "The user's id in the application: `sub` of the token.", example: "anna" });

const position = z
  .string()
  .openapi({ description: "Position in the history: `<epoch>-<sequence>`.", example: "dn2tklp5nv31-1043" });

const receipt = z
  .object({
    delivered: z.int().describe("Deliveries to connections without unsent bytes."),
    buffered: z.int().describe("Deliveries to slow consumers, for which a worker buffers data."),
    workers: z.int().describe("Workers that have counted."),
    missing: z
      .int()
      .describe(
        "Workers that did not answer or receive the publication in time. Their deliveries are not all counted.",
      ),
    complete: z.boolean().describe("Whether all existing workers have counted."),
  })
  .openapi("Receipt");

export const publicationStatus = z
  .object({
    status: z
      .enum(["published", "stored", "delivered", "buffered", "forwarded"])
      .describe(
        "`published`: NATS has it and sends it to all workers. `stored`: the history has it and sends it to all workers. `delivered`: the worker has written it to the connection's socket. `buffered`: the worker buffers it, because the connection is a slow consumer. `forwarded`: a Workerman worker has it, which does not report the outcome.",
      ),
    position: position
      .optional()
      .describe("Position of the stored publication, or of the last one for several topics."),
    positions: z.array(position).optional().describe("Positions for several topics, in the order of the request."),
    duplicate: z
      .literal(true)
      .optional()
      .describe("The history already had a publication with this id, at `position`. Nothing was published."),
    receipt: receipt
      .optional()
      .describe(
        "Number of deliveries, one for each matching subscription. Present with `receipt`, not for duplicates.",
      ),
  })
  .openapi("PublicationStatus", { example: { status: "published" } });

const errorCodes = Object.keys(errors) as [ErrorCode, ...ErrorCode[]]; // the table has entries
export const errorReply = z
  .object({
    error: z.object({
      code: z.enum(errorCodes).describe("The error code, for programs."),
      message: z.string().describe("The error message, for people. Its wording may change."),
      details: z
        .array(
          z.object({
            index: z.int().optional().describe("Index of the publication in a batch, from 0."),
            field: z
              .string()
              .optional()
              .describe(
                "Path of the field, such as `target.connection`; absent if the problem concerns the whole request.",
              ),
            message: z.string(),
          }),
        )
        .optional()
        .describe("The problems of the request."),
    }),
  })
  .openapi("Error");

export const batchReply = z
  .object({
    results: z
      .array(z.union([publicationStatus, errorReply]))
      .describe("One result for each publication, in the order of the request."),
  })
  .openapi("BatchResults");

// Created again, because the document can name only schemas that were created after zod-openapi was loaded.
export const connectionReply = z.object(connectionDescription.shape).openapi("Connection");

/** Fields of responses to which all workers contribute. */
export const gap = {
  missing: z
    .int()
    .optional()
    .describe("Number of known workers that did not answer. Their connections are not counted."),
  complete: z
    .literal(false)
    .optional()
    .describe("Present unless all workers that may exist have answered. There may be more connections."),
};

export const userReply = z
  .object({
    user: userName,
    count: z.int().describe("Number of the user's open connections, on all workers that answered."),
    connections: z
      .array(connectionReply)
      .describe("At most `limit` connections, sorted by address. One worker contributes at most 256 KiB."),
    next: z.string().optional().describe("The `after` of the next page. Absent on the last page."),
    ...gap,
  })
  .openapi("User");

export const affectedReply = z
  .object({ connections: z.int().describe("Number of the user's connections.") })
  .openapi("AffectedConnections");

export const topicReply = z
  .object({
    topic: topicName,
    connections: z
      .int()
      .describe("Number of connections that would receive a publication now, on all workers that answered."),
    members: z
      .int()
      .describe(
        "Number of users with connections that have joined the topic with presence, on all workers that answered.",
      ),
    ...gap,
  })
  .openapi("TopicSubscribers");

export const membersReply = z
  .object({
    topic: topicName,
    members: z
      .array(
        z
          .object({
            user: userName,
            info: z.unknown().optional().describe("The `info` claim in the token of the oldest connection."),
            connections: z.int().describe("Number of its open connections that have joined the topic."),
          })
          .openapi("Member"),
      )
      .describe("At most `limit` members, sorted by user."),
    count: z.int().describe("Number of all members."),
    next: userName.optional().describe("The `after` of the next page. Absent on the last page."),
  })
  .openapi("Members");

const storedPublication = z
  .object({
    position,
    topic: topicName,
    event: z.string().describe("The application's name for the event. Default: `message`."),
    data: z.string(),
    encoding: z.literal("base64").optional().describe("Present if the content is not UTF-8."),
    id: z.string().optional().describe("The application's id."),
    time: z.string().describe("Time of storage: ISO 8601, UTC."),
  })
  .openapi("StoredPublication");

export const historyReply = z
  .object({
    publications: z
      .array(storedPublication)
      .describe("In stream order. At most `limit` publications and about 4 MiB of content."),
    position: position.describe("The `since` of the next page."),
    complete: z.boolean().describe("Whether no publication between `since` and `position` can be missing."),
  })
  .openapi("History");
