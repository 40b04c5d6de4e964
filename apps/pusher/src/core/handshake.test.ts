import { expect, test } from "vitest";
import { readHandshakeQuery } from "./handshake.ts";

test("topics are read once each, in order, with what else there is", () => {
  expect(readHandshakeQuery("topic=a&topic=b.%3E&topic=a&token=t&since=x-1&utm=1", 128)).toEqual({
    ok: true,
    query: { topics: ["a", "b.>"], token: "t", since: "x-1" },
  });
  expect(readHandshakeQuery("", 128)).toEqual({ ok: true, query: { topics: [], token: undefined, since: undefined } });
});

test("a malformed topic and too many of them are refused", () => {
  for (const query of ["topic=", "topic=a.%3E.b", `topic=${"a".repeat(256)}`]) {
    expect(readHandshakeQuery(query, 128).ok, query).toBe(false);
  }
  expect(readHandshakeQuery("topic=a&topic=b", 1).ok).toBe(false);
});
