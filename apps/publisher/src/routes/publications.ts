import { setImmediate as nextTick } from "node:timers/promises";
import { formatPosition } from "@fanwire/protocol";
import { createRoute, z } from "@hono/zod-openapi";
import type { Failure } from "../cluster/failure.ts";
import { copiedBytes, type PublishRequest } from "../cluster/publish-request.ts";
import { type Accepted, failureOfAll, type PublishResult } from "../cluster/publish-result.ts";
import type { Api, ApiParts } from "../http/api.ts";
import { ApiError, type ErrorDetail, errorBody } from "../http/errors.ts";
import { LARGE_BODY_BYTES, type ParsedBody } from "../http/json-body.ts";
import { JsonText, memberSources } from "../http/json-source.ts";
import { describeIssues } from "../http/validation-errors.ts";
import { publishSamples, samplesAsMarkdown } from "./code-samples.ts";
import { describeFailure, throwFailure } from "./failures.ts";
import { readCommonRequest } from "./fast-publish-request.ts";
import { errorResponses, jsonResponse } from "./openapi.ts";
import { publicationFields, publicationRequest } from "./publication-request.ts";
import { batchReply, publicationStatus } from "./schemas.ts";

const MAX_DETAILS = 100;
/** Publications of a large batch that are checked in one tick. */
const ITEMS_PER_TICK = 50;

const route = (maxBatch: number) =>
  createRoute({
    method: "post",
    path: "/v1/publications",
    tags: ["publications"],
    operationId: "publish",
    summary: "Publish one publication or a batch",
    description: [
      "The response to one publication is its result. An array is a batch: if one publication is invalid, none is published.",
      "A publication with several topics is published to each of them. With `durable`, the status is `stored` after JetStream has acknowledged it.",
      "A batch is published in order and the response has one result for each publication. The status is 503 only if NATS was unreachable for all of them.",
      "With `receipt`, the response waits until the workers have counted the deliveries.",
      `\n\n${samplesAsMarkdown(publishSamples)}`,
    ].join(" "),
    "x-codeSamples": publishSamples,
    request: {
      body: {
        required: true,
        content: {
          "application/json": {
            schema: z.union([publicationRequest, z.array(publicationRequest).min(1).max(maxBatch)]),
            examples: {
              everyone: { summary: "To everyone", value: { target: { everyone: true }, data: "hello" } },
              connection: {
                summary: "To one connection",
                value: { target: { connection: "k3v9x2ab.17" }, data: '{"order":7}', event: "order.paid" },
              },
              durable: {
                summary: "To a topic, stored for clients that reconnect",
                value: { target: { topic: "orders.7" }, data: '{"total":9}', event: "paid", durable: true, id: "4711" },
              },
              receipt: {
                summary: "To a user, with a receipt",
                value: { target: { user: "anna" }, data: "hello", receipt: true },
              },
              batch: {
                summary: "A batch, with bytes as base64",
                value: [
                  { target: { everyone: true }, data: "first", except: "k3v9x2ab.17" },
                  { target: { everyone: true }, data: "AP8=", encoding: "base64" },
                ],
              },
            },
          },
        },
      },
    },
    responses: {
      200: jsonResponse("The result, or for a batch all results.", z.union([publicationStatus, batchReply])),
      ...errorResponses(
        "malformed_json",
        "unauthorized",
        "forbidden",
        "connection_not_found",
        "content_uncarried",
        "body_too_large",
        "content_too_large",
        "unsupported_media_type",
        "invalid_request",
        "too_many_requests",
        "nats_forbidden",
        "malformed_reply",
        "nats_unavailable",
        "history_unavailable",
        "unconfirmed",
        "worker_timeout",
      ),
    },
  });

export function addPublicationsRoute(api: Api, { cluster, bodies, config }: ApiParts): void {
  const { method, path } = route(config.maxBatch);
  // Described and routed separately, because the library's validator replaces invalid UTF-8 and reads bodies of any
  // size.
  api.openAPIRegistry.registerPath(route(config.maxBatch));
  api.on(method, path, async (c) => {
    const read = await bodies.read(c.env);
    const pause = read.text.length < LARGE_BODY_BYTES ? undefined : () => nextTick();
    await pause?.();
    const body = withJsonData(read);
    if (Array.isArray(body)) {
      const requests = await parseBatch(body, config.maxBatch, pause);
      bodies.addCopies(c.env, copiesOf(requests));
      return c.json(batchAnswer(await cluster.publisher.publishAll(requests)));
    }

    const request = readRequest(body);
    if ("issues" in request)
      throw new ApiError("invalid_request", { details: describeIssues(request.issues, { known: publicationFields }) });
    bodies.addCopies(c.env, copiesOf([request]));
    const result = await cluster.publisher.publish(request);
    return c.json(result.ok ? answerOf(result) : throwFailure(result));
  });
}

/** Replaces `data` that is not text by its JSON text, as the caller wrote it. */
function withJsonData({ value, text }: ParsedBody): unknown {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  if (!items.some(hasJsonData)) return value;
  const sources = memberSources(text, "data");
  const read = items.map((item, at) => {
    const source = hasJsonData(item) ? sources[at] : undefined;
    return source === undefined ? item : Object.assign(item as object, { data: new JsonText(source) });
  });
  return Array.isArray(value) ? read : read[0];
}

function hasJsonData(item: unknown): boolean {
  if (typeof item !== "object" || item === null || !Object.hasOwn(item, "data")) return false;
  return "data" in item && typeof item.data !== "string";
}

function readRequest(value: unknown): PublishRequest | z.ZodError {
  const common = readCommonRequest(value);
  if (common !== undefined) return common;
  const parsed = publicationRequest.safeParse(value);
  return parsed.success ? parsed.data : parsed.error;
}

/** `pause` lets other requests run. */
async function parseBatch(
  items: readonly unknown[],
  maxBatch: number,
  pause?: () => Promise<unknown>,
): Promise<PublishRequest[]> {
  if (items.length === 0)
    throw new ApiError("invalid_request", { message: "The batch is empty. Send at least one publication." });
  if (items.length > maxBatch) {
    throw new ApiError("invalid_request", { message: `The batch is too long. Send at most ${maxBatch} publications.` });
  }

  const requests: PublishRequest[] = [];
  const details: ErrorDetail[] = [];
  for (const [index, item] of items.entries()) {
    if (pause !== undefined && index % ITEMS_PER_TICK === 0) await pause();
    const request = readRequest(item);
    if ("issues" in request) details.push(...describeIssues(request.issues, { index, known: publicationFields }));
    else requests.push(request);
    if (details.length >= MAX_DETAILS) break;
  }
  if (details.length > 0) {
    const message = "Some publications are not valid. None was published. See `details`.";
    throw new ApiError("invalid_request", { message, details: details.slice(0, MAX_DETAILS) });
  }
  return requests;
}

/** Returns the bytes of the copies for further topics. */
function copiesOf(requests: readonly PublishRequest[]): number {
  let bytes = 0;
  for (const { publications } of requests) {
    const [first] = publications;
    if (first !== undefined) bytes += copiedBytes(first.content, publications.length);
  }
  return bytes;
}

function batchAnswer(results: readonly PublishResult[]): z.input<typeof batchReply> {
  const failure = failureOfAll(results);
  if (failure !== undefined) throwFailure(failure);
  return { results: results.map((result) => (result.ok ? answerOf(result) : failureAnswer(result))) };
}

function failureAnswer(failure: Failure) {
  const { code, message } = describeFailure(failure);
  return errorBody(code, message);
}

const PUBLISHED: z.input<typeof publicationStatus> = { status: "published" };

function answerOf(result: Accepted): z.input<typeof publicationStatus> {
  if (result.status === "published" && result.receipt === undefined) return PUBLISHED;
  const receipt = result.receipt && { receipt: result.receipt };
  if (result.status !== "stored") return { status: result.status, ...receipt };
  const positions = result.positions.map(formatPosition);
  const [last] = result.positions.toSorted((one, other) => other.sequence - one.sequence);
  return {
    status: result.status,
    ...(last && { position: formatPosition(last) }),
    ...(positions.length > 1 && { positions }),
    ...(result.isDuplicate && { duplicate: true as const }),
    ...receipt,
  };
}
