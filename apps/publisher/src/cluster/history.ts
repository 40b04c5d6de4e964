import { isUtf8 } from "node:buffer";
import type { History, HistoryFailure, ReadPage, StoredPublication } from "@fanwire/bus";
import { DEFAULT_EVENT, formatPosition, headerNames, type Position } from "@fanwire/protocol";
import type { z } from "@hono/zod-openapi";
import type { historyReply, storedPublication } from "../routes/schemas.ts";

/** The methods of the history that the publisher uses. */
export type PublisherHistory = Pick<History, "append" | "read" | "missing" | "count" | "state" | "stop">;
type ReadableHistory = Pick<History, "read" | "missing" | "count" | "state">;
type HistoryRequest = {
  /** Log subject of the topic. */
  readonly subject: string;
  readonly topic: string;
  /** From the first stored when absent. */
  readonly since: Position | undefined;
  readonly limit: number;
};
export type HistoryAnswer = { readonly ok: true; readonly reply: z.input<typeof historyReply> };

/** A page of what a topic's publications were. */
export async function readHistory(
  history: ReadableHistory,
  request: HistoryRequest,
): Promise<HistoryAnswer | HistoryFailure> {
  const before = await history.state();
  if (!before.ok) return before;
  const since = request.since ?? { epoch: before.history.epoch, sequence: 0 };
  // A position of another history, or beyond this one's end, says nothing about what its reader has.
  const isKnown = since.epoch === before.history.epoch && since.sequence <= before.history.lastSequence;

  const after = isKnown ? since.sequence : 0;
  const upTo = before.history.lastSequence;
  const page = await history.read({ filter: request.subject, after, upTo, limit: request.limit });
  if (!page.ok) return page;
  const complete = isKnown
    ? await isComplete(history, request.subject, since, page)
    : { ok: true as const, result: false };
  if (!complete.ok) return complete;
  return {
    ok: true,
    reply: {
      publications: page.publications.map((publication) => describe(publication, page.history.epoch, request.topic)),
      position: formatPosition({ epoch: page.history.epoch, sequence: page.through }),
      complete: complete.result,
    },
  };
}

async function isComplete(history: ReadableHistory, subject: string, since: Position, page: ReadPage) {
  // A page that is not the last says too little: then all that is stored counts, which is no fewer.
  const counted = page.isEnd ? { ok: true as const, count: page.publications.length } : await history.count(subject);
  if (!counted.ok) return counted;
  const counts = new Map([[subject, counted.count]]);
  const missing = await history.missing({ filter: subject, since, counts, history: page.history });
  return missing.ok ? { ok: true as const, result: missing.reason === undefined } : missing;
}

function describe(
  { sequence, content, headers, time }: StoredPublication,
  epoch: string,
  topic: string,
): z.input<typeof storedPublication> {
  const isText = isUtf8(content);
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const id = headers?.get(headerNames.id);
  return {
    position: formatPosition({ epoch, sequence }),
    topic,
    event: headers?.get(headerNames.event) || DEFAULT_EVENT,
    data: bytes.toString(isText ? "utf8" : "base64"),
    ...(!isText && { encoding: "base64" as const }),
    ...(id && { id }),
    time: time.toISOString(),
  };
}
