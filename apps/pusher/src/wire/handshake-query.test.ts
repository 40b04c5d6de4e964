import { isTopicPattern } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readHandshakeQuery } from "./handshake-query.ts";

test("of several positions the last counts, an empty lastEventId does not", () => {
  const read = (query: string) => {
    const result = readHandshakeQuery(query, 128);
    return result.ok && [result.query.since, result.query.lastEventId];
  };

  expect(read("since=e-1&since=e-2")).toEqual(["e-2", undefined]);
  expect(read("lastEventId=e-1&last-event-id=e-2&lastEventID=")).toEqual([undefined, "e-2"]);
});

test("the query is parsed: distinct topics in order, token, since", () => {
  expect(readHandshakeQuery("topic=a&topic=b.%3E&topic=a&token=t&since=x-1&lastEventId=x-2&utm=1", 128)).toEqual({
    ok: true,
    query: { topics: ["a", "b.>"], presence: [], tokens: ["t"], since: "x-1", lastEventId: "x-2" },
  });
  expect(readHandshakeQuery("", 128)).toEqual(readHandshakeQuery("utm=1", 128));
});

test("a malformed topic and too many topics are refused", () => {
  for (const query of ["topic=", "topic=a.%3E.b", `topic=${"a".repeat(256)}`]) {
    expect(readHandshakeQuery(query, 128).ok, query).toBe(false);
  }
  expect(readHandshakeQuery("topic=a&topic=b", 1).ok).toBe(false);
});

test.each([
  ["topics=a", "write topic=… once for each topic"],
  ["topic[]=a", "write topic=… once for each topic"],
  ["topic%5B0%5D=a", "write topic=… once for each topic"],
  ["topic=b&topics[x]=a", "write topic=… once for each topic"],
  ["TOPIC=a", "write topic=… once for each topic"],
  ["topic[", "write topic=… once for each topic"],
  ["token[]=a", "write token=… and since=… in lower case, without brackets"],
  ["Since=a", "write token=… and since=… in lower case, without brackets"],
])("a parameter that looks like a typing mistake is refused with a hint: %s", (query, hint) => {
  const problem = `no such parameter: ${hint}`;
  expect(readHandshakeQuery(query, 128)).toEqual({ ok: false, problem });
  expect(Buffer.byteLength(problem)).toBeLessThanOrEqual(123);
});

test.each(["lastEventId", "lastEventID", "Last-Event-ID", "last_event_id"])(
  "%s of EventSource polyfills is read",
  (name) => {
    expect(readHandshakeQuery(`${name}=x-2`, 128)).toMatchObject({ ok: true, query: { lastEventId: "x-2" } });
  },
);

test("a known parameter that is not UTF-8 is refused", () => {
  for (const name of ["topic", "token", "since", "lastEventId"]) {
    expect(readHandshakeQuery(`v=1&${name}=%E7%E0`, 128)).toEqual({ ok: false, problem: "the query is not UTF-8" });
  }
  expect(readHandshakeQuery("topic=%EF%BF%BD", 128)).toMatchObject({ ok: true, query: { topics: ["\uFFFD"] } });
  expect(readHandshakeQuery("name=%E7%E0&%FF=1&topic=100%", 128)).toMatchObject({
    ok: true,
    query: { topics: ["100%"] },
  });
});

test("unknown parameters are ignored", () => {
  for (const query of ["topical=a", "a=topics", "my-topic=a", "tok=en", "v[]=1", "=", "&&", "topic.a=1"]) {
    expect(readHandshakeQuery(query, 128), query).toMatchObject({ ok: true, query: { topics: [] } });
  }
});

test("no query throws, and an accepted one has valid topics only", () => {
  const parts = fc.constantFrom(
    "topic=",
    "token=",
    "since=",
    "&",
    "%",
    "%2",
    "%FF",
    "%00",
    "%2A",
    ">",
    "*",
    ".",
    "+",
    "a",
  );
  const query = fc.array(fc.oneof(parts, fc.string({ unit: "binary", maxLength: 2 })), { maxLength: 30 });

  fc.assert(
    fc.property(query, (pieces) => {
      const read = readHandshakeQuery(pieces.join(""), 3);
      if (!read.ok) return;
      expect(read.query.topics.length).toBeLessThanOrEqual(3);
      expect(read.query.topics.every(isTopicPattern)).toBe(true);
    }),
    { numRuns: 10_000 },
  );
});

test("presence subscribes to its topics too, and takes no pattern", () => {
  expect(readHandshakeQuery("topic=a.*&presence=room&topic=b&presence=b", 128)).toMatchObject({
    ok: true,
    query: { topics: ["a.*", "room", "b"], presence: ["room", "b"] },
  });
  expect(readHandshakeQuery("presence=a&presence=b", 1).ok).toBe(false);
  for (const query of ["presence=a.*", "presence=", "presence[]=a", "presences=a", "Presence=a"]) {
    expect(readHandshakeQuery(query, 128).ok, query).toBe(false);
  }
});
