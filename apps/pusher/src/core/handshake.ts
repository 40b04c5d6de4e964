import { isTopicPattern } from "@fanwire/protocol";
import { parseQuery } from "./query.ts";

/** What a client asks for with the query of its handshake. */
export type HandshakeQuery = {
  /** Distinct patterns, in the order given. */
  readonly topics: readonly string[];
  readonly tokens: readonly string[];
  readonly since: string | undefined;
  /** What polyfills of EventSource send when they cannot set the header of this name. */
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

/** Our parameters; others are somebody else's. */
const NAMES: ReadonlySet<string> = new Set(["topic", "token", "since"]);
/** As polyfills write it, each in its way: `lastEventId`, `lastEventID`, `last-event-id`. */
const LAST_EVENT_ID = /^last[-_]?event[-_]?id$/i;
/** What frameworks make of a list (`topic[]`, `topic[0]`), and what people write by mistake. */
const MISTAKEN_NAME = /^(topics?|tokens?|since)(\[.*)?$/is;

/** Reads `topic` (repeatable), `token`, `since` and `lastEventId`. */
export function readHandshakeQuery(query: string, maxTopics: number): HandshakeResult {
  if (query === "") return NOTHING;
  const parameters = parseQuery(query);
  const mistaken = parameters.find(({ name }) => !NAMES.has(name) && MISTAKEN_NAME.test(name));
  if (mistaken !== undefined) return { ok: false, problem: `no such parameter: ${hintFor(mistaken.name)}` };
  if (parameters.some(({ name, value }) => value === undefined && (NAMES.has(name) || LAST_EVENT_ID.test(name)))) {
    return { ok: false, problem: "the query is not UTF-8" };
  }
  const valuesOf = (wanted: string) =>
    parameters.flatMap(({ name, value }) => (name === wanted && value !== undefined ? [value] : []));

  const given = valuesOf("topic");
  const topics = given.length > 1 ? [...new Set(given)] : given;
  if (topics.length > maxTopics) return { ok: false, problem: `at most ${maxTopics} topics may be followed` };
  const malformed = topics.find((topic) => !isTopicPattern(topic));
  if (malformed !== undefined) return { ok: false, problem: "topic must be a topic or a pattern of 1 to 255 bytes" };
  const [since] = valuesOf("since");
  const lastEventId = parameters.find(({ name }) => LAST_EVENT_ID.test(name))?.value;
  return { ok: true, query: { topics, tokens: valuesOf("token"), since, lastEventId } };
}

/** The name is not repeated: it may be long, and a close frame has little room. */
function hintFor(mistaken: string): string {
  return mistaken.toLowerCase().startsWith("topic")
    ? "write topic=… once for each topic"
    : "write token=… and since=… in lower case, without brackets";
}
