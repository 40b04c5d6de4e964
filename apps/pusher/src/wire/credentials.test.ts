import { expect, test } from "vitest";
import { readBearer, readSubprotocols } from "./credentials.ts";

test.each([
  [[], false, []],
  [["fanwire.v1"], true, []],
  [["chat , fanwire.v1,token.a.b.c"], true, ["a.b.c"]],
  [["token.a.b.c", "fanwire.v1"], true, ["a.b.c"]],
  [["token.a, token.b"], false, ["a", "b"]],
  [["fanwire.v10, Fanwire.v1, tokens.a, token"], false, []],
  [[",, ,fanwire.v1,token."], true, [""]],
])("subprotocols %j", (lines, isFanwire, tokens) => {
  expect(readSubprotocols(lines)).toEqual({ isFanwire, tokens });
});

test.each([
  ["", []],
  ["Bearer a.b.c", ["a.b.c"]],
  ["bearer   a.b.c ", ["a.b.c"]],
  ["Bearer a b", ["a b"]],
  ["Bearer", [""]],
  ["Bearer ", [""]],
  ["BearerX a", []],
  ["Basic YTpi", []],
])("Authorization: %s", (authorization, tokens) => {
  expect(readBearer(authorization)).toEqual(tokens);
});
