import { isTopicPattern } from "@fanwire/protocol";

/** What a client asks for with the query of its handshake. */
export type HandshakeQuery = {
  /** Distinct patterns, in the order given. */
  readonly topics: readonly string[];
  readonly token: string | undefined;
  readonly since: string | undefined;
  /** What polyfills of EventSource send when they cannot set the header of this name. */
  readonly lastEventId: string | undefined;
};

export type HandshakeResult =
  | { readonly ok: true; readonly query: HandshakeQuery }
  | { readonly ok: false; readonly problem: string };

const NOTHING: HandshakeResult = {
  ok: true,
  query: { topics: [], token: undefined, since: undefined, lastEventId: undefined },
};

/** Reads `topic` (repeatable), `token` and `since`; other parameters are somebody else's. */
export function readHandshakeQuery(query: string, maxTopics: number): HandshakeResult {
  if (query === "") return NOTHING;
  const parameters = new URLSearchParams(query);

  const given = parameters.getAll("topic");
  const topics = given.length > 1 ? [...new Set(given)] : given;
  if (topics.length > maxTopics) return { ok: false, problem: `at most ${maxTopics} topics may be followed` };
  const malformed = topics.find((topic) => !isTopicPattern(topic));
  if (malformed !== undefined) return { ok: false, problem: "topic must be a topic or a pattern of 1 to 255 bytes" };
  return {
    ok: true,
    query: {
      topics,
      token: parameters.get("token") ?? undefined,
      since: parameters.get("since") ?? undefined,
      lastEventId: parameters.get("lastEventId") ?? undefined,
    },
  };
}
