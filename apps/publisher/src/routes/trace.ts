import { type TraceKind, traceKinds } from "@fanwire/protocol";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "../http/api.ts";
import { throwFailure } from "./failures.ts";
import { errorResponses } from "./openapi.ts";
import { connectionAddressText, topicPattern, userName } from "./schemas.ts";
import { TraceStream } from "./trace-stream.ts";

const kinds = z
  .string()
  .transform((text, context): TraceKind[] => {
    const named = text.split(",");
    const known = traceKinds.filter((kind) => named.includes(kind));
    if (known.length === new Set(named).size) return known;
    context.addIssue({ code: "custom", message: `must be some of ${traceKinds.join(", ")}, separated by commas` });
    return z.NEVER;
  })
  .optional()
  .openapi({
    description: `Kinds of events, separated by commas: some of ${traceKinds.join(", ")}. Default: all.`,
    type: "string",
    example: "publication,recovery",
  });

const query = z.strictObject({
  topic: topicPattern.optional().openapi({ description: "A topic or pattern." }),
  user: userName.optional(),
  connection: connectionAddressText.optional(),
  kinds,
});

const EXAMPLE = [
  "event: publication",
  'data: {"at":"2026-01-31T12:00:00.000Z","target":{"topic":"orders.7"},"event":"paid","data":"9 EUR","bytes":5,"durable":false}',
].join("\n");

const trace = createRoute({
  method: "get",
  path: "/v1/trace",
  tags: ["cluster"],
  operationId: "trace",
  summary: "Show live what happens in the cluster",
  description: [
    "Server-sent events, until the client closes the connection: `publication`, `connection`, `subscription` and `recovery`, each with a JSON object.",
    "With several of `topic`, `user` and `connection`, the trace shows what matches one of them; without any, everything.",
    "A trace is a sample: at most 200 publications, 1 MiB of content and 200 other events a second.",
    "When something was left out, it has an event `skipped` with `publications` and `events` once a second: their numbers, or null if a number is not known.",
  ].join(" "),
  request: { query },
  responses: {
    200: {
      description: "The events.",
      content: { "text/event-stream": { schema: z.string(), example: EXAMPLE } },
    },
    ...errorResponses(
      "unauthorized",
      "invalid_request",
      "too_many_traces",
      "too_many_requests",
      "nats_forbidden",
      "nats_unavailable",
    ),
  },
});

/** Adds the route that shows live what happens in the cluster. */
export function addTraceRoute(api: Api, { traces }: ApiParts): void {
  api.openapi(trace, async (c) => {
    const { kinds: wanted = traceKinds, ...filter } = c.req.valid("query");
    if (c.req.method === "HEAD") return c.body(null, 200, { "Content-Type": "text/event-stream; charset=utf-8" });

    const { outgoing } = c.env;
    const stream = new TraceStream(outgoing);
    const opened = await traces.open({ filter, kinds: new Set(wanted) }, stream);
    if (!opened.ok) return throwFailure(opened);
    if (stream.isClosed) traces.close(opened.trace);
    else {
      outgoing.once("close", () => traces.close(opened.trace));
      stream.start();
    }
    return RESPONSE_ALREADY_SENT;
  });
}
