import { isHeaderName, type Publication, type Target } from "@fanwire/protocol";
import { z } from "@hono/zod-openapi";
import type { PublishRequest } from "../cluster/publish-request.ts";
import { JsonText } from "../http/json-source.ts";
import type { KnownFields } from "../http/validation-errors.ts";
import { connectionAddress, topicName, userName } from "./schemas.ts";

const MAX_TOPICS = 100;

const everyoneTarget = z
  .strictObject({ everyone: z.literal(true, "must be true") })
  .transform((): Target[] => [{ kind: "everyone" }]);
const topicTarget = z.strictObject({ topic: topicName }).transform(({ topic }): Target[] => [{ kind: "topic", topic }]);
const topicsTarget = z
  .strictObject({
    topics: z
      .array(topicName, "must be an array of topics")
      .min(1, "must have at least one topic")
      .max(MAX_TOPICS, `must have at most ${MAX_TOPICS} topics`)
      .refine((topics) => new Set(topics).size === topics.length, "must not have a topic twice")
      .openapi({
        description:
          "Several topics. Publishes to each of them. Each after the first counts as the content and 512 bytes for PUBLISHER_MAX_BODY_BYTES.",
        example: ["orders.7", "audit"],
      }),
  })
  .transform(({ topics }) => topics.map((topic): Target => ({ kind: "topic", topic })));
const userTarget = z.strictObject({ user: userName }).transform(({ user }): Target[] => [{ kind: "user", user }]);
const connectionTarget = z
  .strictObject({ connection: connectionAddress })
  .transform(({ connection }): Target[] => [{ kind: "connection", connection }]);

const TARGETS =
  'must be one of {"everyone": true}, {"topic": "<topic>"}, {"topics": ["<topic>", …]}, {"user": "<user>"}, {"connection": "<worker id>.<connection id>"}';

/** Target of a publication. Each kind of target has its own key. */
const target = z
  .union([everyoneTarget, topicTarget, topicsTarget, userTarget, connectionTarget], {
    error: ({ input }) => `${input === undefined ? "is missing; it " : ""}${TARGETS}`,
  })
  .openapi({
    description:
      "The receivers: all connections of the cluster, the subscribers of a topic or several, a user's connections, or one connection.",
    example: { everyone: true },
  });

/** The names of all fields, for callers that send others. */
export const publicationFields: KnownFields = {
  "": {
    names: ["target", "data", "encoding", "event", "id", "durable", "except", "receipt"],
    hints: {
      everyone: 'belongs into `target`: {"target": {"everyone": true}}',
      topic: 'belongs into `target`: {"target": {"topic": "<topic>"}}',
      topics: 'belongs into `target`: {"target": {"topics": ["<topic>", …]}}',
      user: 'belongs into `target`: {"target": {"user": "<user>"}}',
      connection: 'belongs into `target`: {"target": {"connection": "<worker id>.<connection id>"}}',
      channel: 'a channel is a topic: {"target": {"topic": "<topic>"}}',
      channels: 'a channel is a topic: {"target": {"topics": ["<topic>", …]}}',
      content: "the content is `data`",
      message: "the content is `data`",
      payload: "the content is `data`",
      name: "the name of the event is `event`",
      socket_id: "the excluded connection is `except`",
    },
  },
  target: {
    names: ["everyone", "topic", "topics", "user", "connection"],
    hints: { channel: "a channel is a `topic`" },
  },
};

const headerName = z
  .string("must be text")
  .refine(
    isHeaderName,
    "must be 1 to 255 bytes of UTF-8 without control characters, beginning and ending with no space",
  );

/** Prefix of the cluster's own events, such as the one before it closes a connection. */
const RESERVED_EVENTS = "fanwire.";

/** Whether an application may use the name for its events. */
export function isEventName(text: string): boolean {
  return isHeaderName(text) && !text.startsWith(RESERVED_EVENTS);
}

/** Parses one request of a caller. Returns one publication for each topic of the target. */
export const publicationRequest = z
  .strictObject({
    target,
    data: z
      .any()
      .refine((data) => data !== undefined, 'is missing; send text or any JSON value, such as "hello" or {"total": 9}')
      .openapi({
        description:
          "The content: text, or any other JSON value, which is sent as its JSON text exactly as written here. Connections receive the bytes unchanged: in a text frame if they are UTF-8, else binary.",
        example: "hello",
      }),
    encoding: z
      .enum(["utf8", "base64"], 'must be "utf8" or "base64"')
      .optional()
      .describe("Encoding of `data`: UTF-8 (default), or padded base64 for any bytes."),
    event: headerName
      .refine((text) => !text.startsWith(RESERVED_EVENTS), `must not begin with ${RESERVED_EVENTS}`)
      .optional()
      .describe("The application's name for the event, without the prefix `fanwire.`. Default: `message`."),
    id: headerName
      .optional()
      .describe(
        "The application's id. Within two minutes, a durable publication is stored once for each target and id.",
      ),
    durable: z
      .boolean("must be true or false")
      .optional()
      .describe("Store the publication for clients that resume. Not for a target connection, which cannot resume."),
    except: connectionAddress.optional().openapi({
      description: "Address of a connection that must not receive it, although the target includes it.",
    }),
    receipt: z
      .boolean("must be true or false")
      .optional()
      .describe("Return the number of deliveries. The response then waits for the workers."),
  })
  .transform((request, context): PublishRequest => {
    const content = contentBytes(request.data, request.encoding);
    if ("problem" in content) {
      context.addIssue({ code: "custom", path: ["data"], message: content.problem });
      return z.NEVER;
    }
    const isDurable = request.durable === true;
    if (isDurable && request.target.some(({ kind }) => kind === "connection")) {
      const message = "cannot be true for a connection, because a closed connection cannot resume";
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

function contentBytes(
  value: unknown,
  encoding: "utf8" | "base64" = "utf8",
): { bytes: Uint8Array } | { problem: string } {
  if (encoding === "base64" && typeof value !== "string") return { problem: "must be text, because it is base64" };
  const data = textOf(value);
  if (encoding === "base64") {
    const bytes = Buffer.from(data, "base64");
    // Compares, because the decoder skips invalid characters.
    return bytes.toString("base64") === data ? { bytes } : { problem: "must be base64 (standard alphabet, padded)" };
  }
  if (!isWellFormed(data)) return { problem: "has half of a surrogate pair, which has no UTF-8 form" };
  return { bytes: Buffer.from(data) };
}

function textOf(data: unknown): string {
  if (data instanceof JsonText) return data.text;
  return typeof data === "string" ? data : JSON.stringify(data);
}

/** Whether the text has a UTF-8 form. Half of a surrogate pair has none. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
