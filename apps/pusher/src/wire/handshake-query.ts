import { isTopicPattern } from "@fanwire/protocol";
import { parseQuery } from "./query.ts";

/** The parsed query of a handshake. */
export type HandshakeQuery = {
  /** Distinct patterns, in the order given. */
  readonly topics: readonly string[];
  readonly tokens: readonly string[];
  readonly since: string | undefined;
  /** Sent by polyfills of EventSource, which cannot set the header of this name. */
  readonly lastEventId: string | undefined;
};

export type HandshakeResult =
  | { readonly ok: true; readonly query: HandshakeQuery }
  | { readonly ok: false; readonly problem: string };

const NONE: readonly string[] = [];
const NOTHING: HandshakeResult = {
  ok: true,
  query: { topics: NONE, tokens: NONE, since: undefined, lastEventId: undefined },
};

/** Spellings of different polyfills: `lastEventId`, `lastEventID`, `last-event-id`. */
const LAST_EVENT_ID = /^last[-_]?event[-_]?id$/i;
/** Lists as frameworks encode them (`topic[]`, `topic[0]`), and likely typing mistakes. */
const MISTAKEN_NAME = /^(topics?|tokens?|since)(\[.*)?$/is;

/** Reads `topic` (repeatable), `token`, `since` and `lastEventId`. */
export function readHandshakeQuery(query: string, maxTopics: number): HandshakeResult {
  if (query === "") return NOTHING;
  const given = new Set<string>();
  const tokens: string[] = [];
  let since: string | undefined;
  let lastEventId: string | undefined;
  for (const { name, value } of parseQuery(query)) {
    const own = ownNameOf(name);
    if (own === undefined) continue;
    if (own === "mistake") return { ok: false, problem: `no such parameter: ${hintFor(name)}` };
    if (value === undefined) return { ok: false, problem: "the query is not UTF-8" };
    if (own === "topic") given.add(value);
    else if (own === "token") tokens.push(value);
    else if (own === "since") since ??= value;
    else lastEventId ??= value;
  }

  const topics = [...given];
  if (topics.length > maxTopics) return { ok: false, problem: `at most ${maxTopics} topics per connection` };
  const malformed = topics.find((topic) => !isTopicPattern(topic));
  if (malformed !== undefined) return { ok: false, problem: "topic must be a topic or a pattern of 1 to 255 bytes" };
  return { ok: true, query: { topics, tokens, since, lastEventId } };
}

/** Returns the parameter a name stands for, "mistake" if it looks like one, or `undefined` if it is unknown. */
function ownNameOf(name: string): "topic" | "token" | "since" | "lastEventId" | "mistake" | undefined {
  if (name === "topic" || name === "token" || name === "since") return name;
  if (LAST_EVENT_ID.test(name)) return "lastEventId";
  return MISTAKEN_NAME.test(name) ? "mistake" : undefined;
}

/** Does not repeat the name, because it may be longer than a close frame allows. */
function hintFor(mistaken: string): string {
  return mistaken.toLowerCase().startsWith("topic")
    ? "write topic=… once for each topic"
    : "write token=… and since=… in lower case, without brackets";
}
