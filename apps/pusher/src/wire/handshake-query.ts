import { isTopic, isTopicPattern } from "@fanwire/protocol";
import { parseQuery } from "./query.ts";

/** The parsed query of a handshake. */
export type HandshakeQuery = {
  /** Distinct topics and patterns in the given order, those of `presence` included. */
  readonly topics: readonly string[];
  /** Topics to join with presence. */
  readonly presence: readonly string[];
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
  query: { topics: NONE, presence: NONE, tokens: NONE, since: undefined, lastEventId: undefined },
};

/** Spellings of different polyfills: `lastEventId`, `lastEventID`, `last-event-id`. */
const LAST_EVENT_ID = /^last[-_]?event[-_]?id$/i;
/** Lists as frameworks encode them (`topic[]`, `topic[0]`), and likely typing mistakes. */
const MISTAKEN_NAME = /^(topics?|presences?|tokens?|since)(\[.*)?$/is;

/** Reads `topic` and `presence` (repeatable), `token`, `since` and `lastEventId`. */
export function readHandshakeQuery(query: string, maxTopics: number): HandshakeResult {
  if (query === "") return NOTHING;
  const allTopics = new Set<string>();
  const presenceTopics = new Set<string>();
  const tokens: string[] = [];
  let since: string | undefined;
  let lastEventId: string | undefined;
  for (const { name, value } of parseQuery(query)) {
    const own = ownNameOf(name);
    if (own === undefined) continue;
    if (own === "mistake") return { ok: false, problem: `no such parameter: ${hintFor(name)}` };
    if (value === undefined) return { ok: false, problem: "the query is not UTF-8" };
    if (own === "topic" || own === "presence") allTopics.add(value);
    if (own === "presence") presenceTopics.add(value);
    else if (own === "token") tokens.push(value);
    // Polyfills append their newest position to the query that the page wrote.
    else if (own === "since") since = value;
    else if (own === "lastEventId") lastEventId = value || lastEventId;
  }

  const topics = [...allTopics];
  if (topics.length > maxTopics) return { ok: false, problem: `at most ${maxTopics} topics per connection` };
  const malformed = topics.find((topic) => !isTopicPattern(topic));
  if (malformed !== undefined) return { ok: false, problem: "topic must be a topic or a pattern of 1 to 255 bytes" };
  const presence = presenceTopics.size === 0 ? NONE : [...presenceTopics];
  if (!presence.every(isTopic)) return { ok: false, problem: "presence must be a topic, no pattern" };
  return { ok: true, query: { topics, presence, tokens, since, lastEventId } };
}

/** Returns the parameter a name stands for, "mistake" if it looks like one, or `undefined` if it is unknown. */
function ownNameOf(name: string): "topic" | "presence" | "token" | "since" | "lastEventId" | "mistake" | undefined {
  if (name === "topic" || name === "presence" || name === "token" || name === "since") return name;
  if (LAST_EVENT_ID.test(name)) return "lastEventId";
  return MISTAKEN_NAME.test(name) ? "mistake" : undefined;
}

/** Does not repeat the name, because it may be longer than a close frame allows. */
function hintFor(mistaken: string): string {
  const name = mistaken.toLowerCase();
  if (name.startsWith("presence")) return "write presence=… once for each topic";
  return name.startsWith("topic")
    ? "write topic=… once for each topic"
    : "write token=… and since=… in lower case, without brackets";
}
