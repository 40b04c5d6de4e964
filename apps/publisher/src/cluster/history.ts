import { isUtf8 } from "node:buffer";
import type { History, ReadPage, StoredPublication } from "@fanwire/bus";
import { DEFAULT_EVENT, formatPosition, headerNames, type Position } from "@fanwire/protocol";
import type { Failure } from "./failure.ts";

/** The methods of the history that the publisher uses. */
export type PublisherHistory = Pick<
  History,
  "append" | "describe" | "epoch" | "last" | "read" | "missing" | "count" | "state" | "stop"
>;
type ReadableHistory = Pick<History, "read" | "missing" | "count" | "state">;
type HistoryRequest = {
  /** The topic's subject in the history. */
  readonly subject: string;
  readonly topic: string;
  /** Default: from the first stored publication. */
  readonly since: Position | undefined;
  readonly limit: number;
};

/** One page of a topic's stored publications, in stream order. */
export type HistoryPage = {
  readonly publications: HistoryEntry[];
  /** The position up to which the page reaches. */
  readonly position: string;
  /** Whether no publication between `since` and `position` can be missing. */
  readonly complete: boolean;
};
type HistoryEntry = {
  readonly position: string;
  readonly topic: string;
  readonly event: string;
  readonly data: string;
  /** Present if the content is not UTF-8. */
  readonly encoding?: "base64";
  readonly id?: string;
  /** Time of storage: ISO 8601, UTC. */
  readonly time: string;
};

/** Reads one page of a topic's stored publications. */
export async function readHistory(
  history: ReadableHistory,
  request: HistoryRequest,
): Promise<{ readonly ok: true; readonly page: HistoryPage } | Failure> {
  const before = await history.state();
  if (!before.ok) return before;
  const since = request.since ?? { epoch: before.history.epoch, sequence: 0 };
  // A position from another epoch, or beyond the end, proves nothing about what the caller has received.
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
    page: {
      publications: page.publications.map((publication) => describe(publication, page.history.epoch, request.topic)),
      position: formatPosition({ epoch: page.history.epoch, sequence: page.through }),
      complete: complete.result,
    },
  };
}

async function isComplete(history: ReadableHistory, subject: string, since: Position, page: ReadPage) {
  // A page with unread publications behind it does not show how many they are, so the count of all stored ones is used.
  const counted =
    page.isEnd && page.unread === 0
      ? { ok: true as const, count: page.publications.length }
      : await history.count(subject);
  if (!counted.ok) return counted;
  const counts = new Map([[subject, counted.count]]);
  const missing = await history.missing({ filter: subject, since, counts, unread: 0, history: page.history });
  return missing.ok ? { ok: true as const, result: missing.reason === undefined } : missing;
}

function describe({ sequence, content, headers, time }: StoredPublication, epoch: string, topic: string): HistoryEntry {
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
